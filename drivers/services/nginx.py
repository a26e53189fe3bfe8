"""nginx serves /install and /tftpboot to nodes, read-only (nginx.org: ngx_http_core_module).

No folder is listed. A symbolic link is followed only where its owner owns the target too, so links that
Serval or root made work and nobody else can make one that leads out of the trees.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from drivers.services.daemon import Daemon, Folder, Port, Reload
from drivers.services.probes import http_get

CONFIG = """\
# Written by Serval from site.installdir, site.tftpdir and site.httpport.
{user}worker_processes 2;
worker_rlimit_nofile 16384;
pid {state}/nginx.pid;
error_log stderr warn;
daemon off;

events {{
    worker_connections 8192;
}}

http {{
    default_type application/octet-stream;
    access_log off;
    server_tokens off;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 15s;
    client_max_body_size 1k;
    client_body_temp_path {state}/body;
    proxy_temp_path {state}/proxy;
    fastcgi_temp_path {state}/fastcgi;
    uwsgi_temp_path {state}/uwsgi;
    scgi_temp_path {state}/scgi;

    server {{
        listen {port} default_server backlog=4096;
{trees}
        location / {{
            return 404;
        }}
    }}
}}
"""
TREE = """
        location ^~ {url}/ {{
            alias "{folder}/";
            autoindex off;
            disable_symlinks if_not_owner from="{folder}";
{filled}            limit_except GET {{
                deny all;
            }}
        }}
"""
#: In the files of such a tree a word becomes the address of this host that was asked.
FILLED = """\
            sub_filter "{word}" $server_addr;
            sub_filter_once off;
            sub_filter_types *;
"""


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder and where it is served. In its files `word` becomes this host's address, if there is one."""

    url: str
    folder: Path
    word: str = ""


@dataclass(frozen=True, slots=True)
class Web:
    """What is served on which port, and the URL path and content of a file to try it with."""

    trees: tuple[Tree, ...]
    port: int
    sample: str
    content: bytes


def daemon(settings: Web, folder: Path, service: str) -> Daemon:
    """nginx with its configuration in `folder`."""
    config = folder / "nginx.conf"
    words = ("-e", "stderr", "-p", str(folder), "-c", str(config))
    return Daemon(
        name="nginx",
        package="nginx-light",
        command=("nginx", *words),
        files={config: render(settings, folder, as_root=os.getuid() == 0)},
        folders=(Folder(folder), *(Folder(tree.folder) for tree in settings.trees if not tree.word)),
        ports=(Port("tcp", settings.port),),
        test=("nginx", "-t", "-q", *words),
        reload=Reload.SIGNAL,
        checks={service: lambda: http_get(settings.port, settings.sample, settings.content)},
    )


def render(settings: Web, folder: Path, *, as_root: bool) -> str:
    """nginx.conf. Paths hold no quote, dollar sign or newline (core.services.settings)."""
    trees = "".join(
        TREE.format(
            url=tree.url, folder=tree.folder, filled=FILLED.format(word=tree.word) if tree.word else ""
        )
        for tree in settings.trees
    )
    user = "user www-data;\n" if as_root else ""
    return CONFIG.format(user=user, state=folder, port=settings.port, trees=trees)
