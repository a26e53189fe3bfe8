# Serval's commands are found, behind everything of the distribution.
PATH="$PATH:/opt/serval/bin"
