// OpenALPR includes OpenCV's video module and uses nothing of it once motiondetector.cpp is left out.
