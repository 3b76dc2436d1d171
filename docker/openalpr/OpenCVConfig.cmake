# Stands in for OpenCV's own file, which names every module that was built, and Debian's has all of them.
file(GLOB OpenCV_INCLUDE_DIRS LIST_DIRECTORIES true /usr/local/include/opencv4 /usr/include/opencv4)
list(GET OpenCV_INCLUDE_DIRS 0 first)
file(STRINGS ${first}/opencv2/core/version.hpp version REGEX "define CV_VERSION_(MAJOR|MINOR|REVISION) ")
string(REGEX REPLACE "[^0-9]*([0-9]+)[^0-9]*([0-9]+)[^0-9]*([0-9]+).*" "\\1.\\2.\\3" OpenCV_VERSION "${version}")
string(REGEX REPLACE "\\..*" "" OpenCV_VERSION_MAJOR ${OpenCV_VERSION})
set(OpenCV_INCLUDE_DIRS ${CMAKE_CURRENT_LIST_DIR}/include ${first})
set(OpenCV_LIBS opencv_core opencv_imgproc opencv_imgcodecs opencv_objdetect opencv_calib3d opencv_features2d opencv_flann)
