"""Tables about operating system images, and about what stays on a diskless node."""

from db.tables.declare import node_table, table

osimage = table(
    "osimage",
    "Images that nodes are installed or booted with.",
    ["imagename"],
    {
        "imagename": "The name of the image.",
        "groups": "Comma separated groups of images.",
        "profile": "Name of the set of templates and package lists: compute, service.",
        "imagetype": "linux.",
        "description": "What the image is for.",
        "provmethod": "How it gets onto nodes: install, netboot, statelite, boottarget, sysclone.",
        "rootfstype": "Root file system of statelite: nfs, ramdisk.",
        "nfsrootopts": "Mount options of an NFS root.",
        "osdistroname": "Row of osdistro that it is made from.",
        "osupdatename": "Comma separated rows of osdistroupdate.",
        "cfmdir": "Directory of files to synchronise, as the configuration file manager lays it out.",
        "osname": "Operating system: Linux.",
        "osvers": "Distribution and version, such as rocky9.4.",
        "osarch": "Architecture, such as x86_64.",
        "synclists": "Comma separated files that list what is copied to the nodes.",
        "postscripts": "Comma separated scripts run at the end of the installation.",
        "postbootscripts": "Comma separated scripts run after the first boot.",
        "serverrole": "Roles of nodes with this image: mgtnode, servicenode, compute, login, storage.",
        "isdeletable": "Whether deleting the image deletes its files.",
        "kitcomponents": "Comma separated kit components built into the image.",
        "environvar": "Environment of the postscripts: NAME=value,NAME=value.",
    },
)

linuximage = table(
    "linuximage",
    "How a Linux image is built and booted; its attributes are those of the osimage of the same name.",
    ["imagename"],
    {
        "imagename": "The osimage.",
        "template": "Template of the installer's answers.",
        "boottarget": "Row of boottarget, for provmethod boottarget.",
        "addkcmdline": "Words added to the kernel command line; R::word is for the installed system only.",
        "pkglist": "Comma separated files that list packages of the distribution.",
        "pkgdir": "Comma separated directories of these packages.",
        "otherpkglist": "Comma separated files that list other packages.",
        "otherpkgdir": "Directory of the other packages, or a repository's URL.",
        "exlist": "Comma separated files that list what is left out of a diskless image.",
        "postinstall": "Comma separated scripts that genimage runs on the image.",
        "rootimgdir": "Directory that the image is built in.",
        "kerneldir": "Directory of kernel packages.",
        "nodebootif": "Interface that the node boots over.",
        "otherifce": "Other interfaces of a diskless image.",
        "netdrivers": "Comma separated drivers in the initial RAM disk.",
        "kernelver": "Kernel release to use.",
        "krpmver": "Version of the kernel package, where it is not kernelver.",
        "permission": "Permissions of the mounted file system of statelite.",
        "dump": "Where crash dumps go: an NFS URL or a directory.",
        "crashkernelsize": "Memory kept for the crash kernel.",
        "partitionfile": "File or script with the partitions: s: and d: as in xCAT.",
        "driverupdatesrc": "Driver disks and packages for the installer.",
    },
)

boottarget = table(
    "boottarget",
    "Kernels that provmethod boottarget boots.",
    ["bprofile"],
    {
        "bprofile": "The name that linuximage.boottarget refers to.",
        "kernel": "Kernel.",
        "initrd": "Initial RAM disk.",
        "kcmdline": "Kernel command line.",
    },
)

litefile = table(
    "litefile",
    "Files that a statelite node keeps, shares or has in memory.",
    ["image", "file"],
    {
        "image": "The osimage, or ALL.",
        "file": "File or directory; a directory ends in /.",
        "options": "tmpfs, link, persistent, localdisk, ro and their combinations.",
    },
)

litetree = table(
    "litetree",
    "Where a statelite node looks for its files.",
    ["priority"],
    {
        "priority": "Lower numbers are looked at first.",
        "image": "The osimage, or ALL.",
        "directory": "host:directory; names of tables in #table.column# are filled in.",
        "mntopts": "Mount options.",
    },
)

statelite = node_table(
    "statelite",
    "Where a statelite node keeps what must last.",
    image="The osimage; blank is any.",
    statemnt="host:directory; blank is in memory.",
    mntopts="Mount options.",
)
