# Run a command, and kill its group of processes when stdin ends, which is when the engine does: sh guard.sh COMMAND [ARGUMENT...]
# The engine makes it the leader of a group of processes; its status is the command's.
exec 3<&0 </dev/null
"$@" 3<&- &
command=$!
{ read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 &
exec 3<&- >/dev/null 2>&1
wait "$command"
