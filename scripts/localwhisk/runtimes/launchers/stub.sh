#!/bin/sh
# What openwhisk/dockerskeleton runs until an action brings code of its own: it tells what it was given, and that it is a stub.
echo 'This is the stub of openwhisk/dockerskeleton: replace it with a script or an executable of your own.'
echo 'Its input comes on stdin and, up to 131071 bytes, as its argument; the last line of its output is its result, in JSON.'
printf 'command line argument: %s\n' "$1"
echo "command line argument length: ${#1}"
read -r input
echo "stdin input length: ${#input}"
echo '{ "error": "This is a stub action. Replace it with custom logic." }'
