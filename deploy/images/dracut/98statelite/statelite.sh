#!/bin/sh
# statelite ROOT: puts over ROOT, which is only read, what liteimg wrote into its /.statelite.
#
#   litefile    KIND mount|link PATH    kinds: tmpfs, con, ro, persistent, localdisk; no path lies below another
#   litetree    OPTIONS HOST:/FOLDER    in the order of searching; {node}, {master} and {files} are filled in here
#
# /.default has each path as the image has it, and the folders that lead to it. STATEMNT= and MNTOPTS= of the
# kernel's arguments say where persistent files are kept, in a folder with the node's name.

command -v getarg > /dev/null || . /lib/dracut-lib.sh

root=$1
state=$root/.statelite
node=$(getarg NODE=)
master=$(getarg SERVAL=)
master=${master%:*}
# Who the root came from: root=nfs4:HOST:/FOLDER, or imgurl=http://HOST:PORT/PATH.
files=$(getarg root=)
files=${files#nfs4:}
files=${files%%:/*}
if image=$(getarg imgurl=); then
    image=${image#*://}
    files=${image%%[:/]*}
fi

# Mounts HOST:/FOLDER; an NFS server that does not answer is asked as long as mount.nfs asks. 2: no such folder.
nfs() { # OPTIONS PLACE FOLDER
    mkdir -p "$3" && said=$(mount -t nfs -o "nolock,$1" "$2" "$3" 2>&1) && return
    warn "serval: $2 cannot be mounted: $said"
    case $said in *"No such file or directory"*) return 2 ;; *) return 1 ;; esac
}

# The folders that lead to a path, with the owners and modes that they have in the image.
lead() { # TOP PATH
    [ -d "$1${2%/*}" ] && return
    lead "$1" "${2%/*}" && mkdir "$1${2%/*}" \
        && chmod --reference="$root/.default${2%/*}" "$1${2%/*}" \
        && chown --reference="$root/.default${2%/*}" "$1${2%/*}"
}

# Every place that has a path: the trees in their order, the image last.
having() { # PATH
    for tree in $trees "$root/.default"; do
        [ ! -e "$tree$1" ] || echo "$tree$1"
    done
}

first() { # PATH
    having "$1" | { read -r found && echo "$found"; }
}

# Copies a path into TOP, unless it is there; whole or not at all.
copy() { # TOP PATH
    [ -e "$1$2" ] && return
    lead "$1" "$2" && rm -rf "$1/.new" && cp -a "$(first "$2")" "$1/.new" && mv "$1/.new" "$1$2"
}

# All that the trees and the image have of a file, one behind the other, the image's own first.
joined() { # PATH
    lead "$state/tmpfs" "$1" && cat "$root/.default$1" > "$state/tmpfs$1" || return
    for file in $(having "$1"); do
        [ "$file" = "$root/.default$1" ] || cat "$file" >> "$state/tmpfs$1" || return
    done
    chmod 644 "$state/tmpfs$1"
}

# Mounts what keeps files: nothing when no path is of this kind.
keeping() { # KIND
    grep -q "^$1 " "$state/litefile" || return 0
    case $1 in
        persistent)
            place=$(getarg STATEMNT=)
            options=$(getarg MNTOPTS=)
            [ -n "$place" ] || { warn "serval: statelite.statemnt does not say where files are kept"; return 1; }
            nfs "rw${options:+,$options}" "$place" /run/serval-state && mkdir -p "/run/serval-state/$node" \
                && mount --bind "/run/serval-state/$node" "$state/persistent" && umount /run/serval-state
            ;;
        localdisk)
            disk=$(blkid -L localdisk) || { warn "serval: no file system has the label localdisk"; return 1; }
            mount "$disk" "$state/localdisk"
            ;;
    esac
}

# Lays one path over the root.
over() { # KIND mount|link PATH
    top=tmpfs
    case $1 in
        tmpfs) copy "$state/tmpfs" "$3" ;;
        con) joined "$3" ;;
        persistent | localdisk) top=$1 && copy "$state/$1" "$3" ;;
        ro) mount --bind "$(first "$3")" "$root$3" && mount -o remount,bind,ro "$root$3"; return ;;
    esac || return
    [ "$2" = link ] || mount --bind "$state/$top$3" "$root$3"
}

mount -t tmpfs -o mode=755 tmpfs "$state/tmpfs" || exit 1
trees=
number=0
while read -r options place; do
    place=$(echo "$place" | sed "s|{node}|$node|g; s|{master}|$master|g; s|{files}|$files|g")
    number=$((number + 1))
    nfs "$options" "$place" "$state/tree/$number" < /dev/null
    case $? in
        0) trees="$trees $state/tree/$number" ;;
        2) ;; # not every node has a folder of its own
        *) exit 1 ;;
    esac
done < "$state/litetree"
keeping persistent && keeping localdisk || exit 1
while read -r kind how path; do
    over "$kind" "$how" "$path" < /dev/null || { warn "serval: $path cannot be made $kind"; exit 1; }
done < "$state/litefile"
