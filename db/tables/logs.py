"""Tables about what happened and who is told: logs, notifications, monitoring."""

from db.tables.declare import table

auditlog = table(
    "auditlog",
    "Commands that were asked for.",
    ["recid"],
    {
        "recid": "Number of the record.",
        "audittime": "When, YYYY-MM-DD HH:MM:SS.",
        "userid": "Who asked.",
        "clientname": "From which host.",
        "clienttype": "How: cli, java, webui, other.",
        "command": "The command.",
        "noderange": "Its noderange.",
        "args": "Its arguments.",
        "status": "Allowed or Denied.",
    },
)

eventlog = table(
    "eventlog",
    "Events that monitors reported.",
    ["recid"],
    {
        "recid": "Number of the record.",
        "eventtime": "When, YYYY-MM-DD HH:MM:SS.",
        "eventtype": "event, or rearm for the end of one.",
        "monitor": "The monitor.",
        "monnode": "The host of the monitor.",
        "node": "The node concerned.",
        "application": "The application that reported it.",
        "component": "The component concerned.",
        "id": "Where the event is described.",
        "severity": "informational, warning, critical.",
        "message": "What happened.",
        "rawdata": "The event as it came.",
    },
)

notification = table(
    "notification",
    "Programs that are told when tables change.",
    ["filename"],
    {
        "filename": "The program.",
        "tables": "Comma separated tables to watch.",
        "tableops": "Letters of what to watch: a adds, u updates, d deletes.",
    },
)

monitoring = table(
    "monitoring",
    "Monitors of the cluster.",
    ["name"],
    {
        "name": "The monitor.",
        "nodestatmon": "Y when it keeps nodelist.status.",
    },
)

monsetting = table(
    "monsetting",
    "Settings of monitors.",
    ["name", "key"],
    {
        "name": "The monitor.",
        "key": "The name of the setting.",
        "value": "Its value.",
    },
)
