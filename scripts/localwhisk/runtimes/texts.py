"""Wire texts, sizes and defaults of the runtimes, as the invoker and the ActionLoop proxy word them."""

from __future__ import annotations

from typing import Final

MEGABYTE: Final = 1_048_576
RESULT_LIMIT: Final = MEGABYTE
LOG_FRAME: Final = 16_384
"""Docker's log driver cuts a longer line into entries of this many bytes."""

END_OF_ACTIVATION: Final = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"

COMMAND_EXITED: Final = "command exited"
NO_CODE: Final = "Missing main/no code to execute."
CANNOT_START: Final = "Cannot start action. Check logs for details."
CANNOT_BUILD: Final = "The action failed to generate or locate a binary. See logs for details."
NO_MAIN_IN_ZIP: Final = "Zip file does not include main__"
INVALID_VIRTUALENV: Final = "Invalid virtualenv. Zip file does not include 'activate_this.py'."
NOT_COMPILED_HERE: Final = (
    "open ./action/1/bin/exec.env: no such file or directory\n"
    "The image takes code that begins with #! for an action it has compiled itself; leave that line out."
)
ENVIRONMENT_MISMATCH: Final = "Execution environment version mismatch. See logs for details."
ABRUPT_EXIT: Final = "Command exited abruptly during initialization."
NOT_A_DICTIONARY: Final = "The action did not return a dictionary or array."
NODE_NOT_A_DICTIONARY: Final = "The action did not return a dictionary."
NODE_INIT_LOG: Final = "Error during initialization:"
NODE_UNPACKING: Final = {
    "zip": "There was an error uncompressing the action Zip archive.",
    "tar.gz": "There was an error uncompressing the action Tar GZ archive.",
    None: "There was an error uncompressing the action archive. The file type is unsupported",
}
ABNORMAL_INIT: Final = "The action did not initialize and exited unexpectedly."
ABNORMAL_RUN: Final = "The action did not produce a valid response and exited unexpectedly."
MEMORY_EXHAUSTED: Final = "The action exhausted its memory and was aborted."
NO_RESOURCES: Final = "Failed to provision resources to run the action."
ENGINE_STOPPED: Final = "The action was aborted because the engine stopped."
LOGS_MIGHT_MISS: Final = "The action did not initialize or run as expected. Log data might be missing."


def source_too_large(name: str, most: int) -> str:
    """A source that no action may have."""
    return f"{name} has more than {most} bytes"


def time_limit(milliseconds: int, *, init: bool) -> str:
    """Say that the whole time limit passed in init or in run."""
    end = " during initialization." if init else "."
    return f"The action exceeded its time limits of {milliseconds} milliseconds{end}"


def node_init_failed(reason: str) -> str:
    """Say why the code of a Node.js action could not be loaded."""
    return f"Initialization has failed due to: {reason}"


def invalid_init(response: str) -> str:
    """Say that /init answered something without an error in it."""
    return "The action failed during initialization" + (f": {response}" if response else ".")


def invalid_run(response: str) -> str:
    """Say that /run answered JSON which is neither an object nor an array, or no JSON."""
    base = "The action did not produce a valid JSON or JSON Array response"
    return base + (f": {response}" if response else ".")


def result_too_long(length: int, beginning: str) -> str:
    """Say that a result of `length` bytes was cut to `beginning`."""
    return (
        f"The action produced a response that exceeded the allowed length: {length} > {RESULT_LIMIT} bytes. "
        f"The truncated response was: {beginning}"
    )


def logs_truncated(limit_bytes: int) -> str:
    """Say that the log lines beyond the action's limit are gone."""
    return f"Logs were truncated because the total bytes size exceeds the limit of {limit_bytes} bytes."


def native_unpacking(detail: str) -> str:
    """Say why the archive of an executable could not be unpacked."""
    return f"err {detail}"


def native_internal(detail: str) -> str:
    """Say that the proxy of executables failed over what one printed."""
    return f"Internal error. {detail}"


def kind_not_here(kind: str) -> str:
    """Say how a kind that is not run here can be had."""
    return f"This engine runs python, nodejs (with node on this machine) and exec; {kind} needs --map-image {kind}=URL or {kind}=COMMAND, or podman or docker."


def pull_failed(image: str) -> str:
    """Say that an image could not be had."""
    return f"Failed to pull container image '{image}'."
