// OpenALPR includes OpenCV's ml module and uses nothing of it.
