// Stands in for OpenCV's windows, which OpenALPR opens for debugging only; with it neither highgui nor Qt is linked.
#pragma once
#include <string>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
namespace cv {
inline void imshow(const std::string&, const Mat&) {}
inline void destroyWindow(const std::string&) {}
inline int waitKey(int = 0) { return 0; }
}  // namespace cv
