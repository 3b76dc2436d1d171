# Kill processes by their mark, the variable LOCALWHISK_PROCESS, with all that is below them: sh guard.sh RUN
# A line on stdin is the mark of one process of the engine's, that ends. Stdin ends with the engine: then all marks that begin with RUN go.
trap '' HUP INT TERM

marked() {
  grep -Flsz "LOCALWHISK_PROCESS=$1" /proc/[0-9]*/environ | cut -d/ -f3
}

below() {
  for child in $(cat "/proc/$1/task/"*/children); do
    echo "$child"
    below "$child"
  done
}

# What a process starts while it is killed is found in the next round.
sweep() {
  rounds=50
  while [ $((rounds -= 1)) -ge 0 ] && found=$(marked "$1") && [ -n "$found" ]; do
    for pid in $found; do
      children=$(below "$pid")
      kill -KILL "-$pid" "$pid" $children
    done
    sleep 0.02
  done
}

exec 2>/dev/null
while read -r mark; do
  sweep "$mark"
done
sweep "$1"
