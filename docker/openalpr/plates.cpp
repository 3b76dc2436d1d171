// The C interface that actions/plates/openalpr.py binds: OpenALPR on raw pixels, and the few OpenCV operations the strategy needs.
// OpenALPR's own C interface (openalprpy) lets C++ exceptions end the process and takes encoded images only.
// Every function returns null (or false) and leaves a text in plates_error() when something was thrown.

#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/objdetect.hpp>

#include <alpr.h>

namespace {

thread_local std::string last_error;

char* copied(const std::string& text) {
  char* memory = static_cast<char*>(std::malloc(text.size() + 1));
  if (memory != nullptr) std::memcpy(memory, text.c_str(), text.size() + 1);
  return memory;
}

template <typename Result, typename Work>
Result guarded(Result failed, Work work) {
  try {
    return work();
  } catch (const std::exception& error) {
    last_error = error.what();
  } catch (...) {
    last_error = "an exception that is not a std::exception";
  }
  return failed;
}

cv::Mat view(const unsigned char* pixels, int width, int height, int channels) {
  return cv::Mat(height, width, CV_8UC(channels), const_cast<unsigned char*>(pixels));
}

}  // namespace

extern "C" {

const char* plates_error() { return last_error.c_str(); }

void plates_free(void* memory) { std::free(memory); }

void plates_threads(int count) { cv::setNumThreads(count); }

alpr::Alpr* plates_open(const char* country, const char* config, const char* runtime) {
  return guarded<alpr::Alpr*>(nullptr, [&]() -> alpr::Alpr* {
    std::unique_ptr<alpr::Alpr> handle(new alpr::Alpr(country, config, runtime));
    if (handle->isLoaded()) return handle.release();
    last_error = "OpenALPR did not load its configuration or runtime data";
    return nullptr;
  });
}

void plates_close(alpr::Alpr* handle) {
  guarded(false, [&] { delete handle; return true; });
}

char* plates_version() {
  return guarded<char*>(nullptr, [] { return copied(alpr::Alpr::getVersion()); });
}

char* plates_read(alpr::Alpr* handle, unsigned char* pixels, int width, int height, int channels, int top_n, const char* region,
                  bool detect_region, const int* rectangles, int rectangle_count) {
  return guarded<char*>(nullptr, [&] {
    std::vector<alpr::AlprRegionOfInterest> regions;
    for (int i = 0; i < rectangle_count; ++i) {
      const int* r = rectangles + 4 * i;
      regions.push_back(alpr::AlprRegionOfInterest(r[0], r[1], r[2], r[3]));
    }
    handle->setTopN(top_n);
    handle->setDefaultRegion(region);
    handle->setDetectRegion(detect_region);
    return copied(alpr::Alpr::toJson(handle->recognize(pixels, channels, width, height, regions)));
  });
}

cv::CascadeClassifier* plates_cascade_open(const char* path) {
  return guarded<cv::CascadeClassifier*>(nullptr, [&]() -> cv::CascadeClassifier* {
    std::unique_ptr<cv::CascadeClassifier> cascade(new cv::CascadeClassifier());
    if (cascade->load(path)) return cascade.release();
    last_error = "OpenCV did not load the cascade";
    return nullptr;
  });
}

void plates_cascade_close(cv::CascadeClassifier* cascade) {
  guarded(false, [&] { delete cascade; return true; });
}

// OpenALPR's detector on one grey channel, with sizes and strictness of our choice: equalised first, reduced afterwards, as it does.
// out: x, y, width, height, neighbours of each rectangle, in pixels of the image given. Returns how many, or -1.
int plates_detect(cv::CascadeClassifier* cascade, const unsigned char* in, int width, int height, double scale, double increase, int neighbours,
                  int min_width, int min_height, int* out, int capacity) {
  return guarded(-1, [&] {
    cv::Mat even;
    cv::equalizeHist(view(in, width, height, 1), even);
    if (scale != 1) cv::resize(even, even, cv::Size(width * scale, height * scale));
    std::vector<cv::Rect> found;
    std::vector<int> support;
    cascade->detectMultiScale(even, found, support, increase, neighbours, 0, cv::Size(min_width * scale, min_height * scale), even.size());
    int count = 0;
    for (; count < capacity && count < static_cast<int>(found.size()); ++count) {
      const cv::Rect& r = found[count];
      const int values[] = {int(r.x / scale), int(r.y / scale), int(r.width / scale), int(r.height / scale), support[count]};
      std::memcpy(out + 5 * count, values, sizeof values);
    }
    return count;
  });
}

// interpolation: OpenCV's numbers (1 linear, 2 cubic, 3 area, 4 Lanczos)
bool plates_resize(const unsigned char* in, int width, int height, int channels, unsigned char* out, int to_width, int to_height,
                   int interpolation) {
  return guarded(false, [&] {
    cv::Mat target = view(out, to_width, to_height, channels);
    cv::resize(view(in, width, height, channels), target, target.size(), 0, 0, interpolation);
    return true;
  });
}

// 2 x 3 matrix by rows, from source to target coordinates; outside is filled by repeating the border
bool plates_warp_affine(const unsigned char* in, int width, int height, int channels, unsigned char* out, int to_width, int to_height,
                        const double* matrix, int interpolation) {
  return guarded(false, [&] {
    cv::Mat target = view(out, to_width, to_height, channels);
    cv::warpAffine(view(in, width, height, channels), target, cv::Mat(2, 3, CV_64F, const_cast<double*>(matrix)), target.size(),
                   interpolation, cv::BORDER_REPLICATE);
    return true;
  });
}

// 3 x 3 matrix by rows, from source to target coordinates
bool plates_warp_perspective(const unsigned char* in, int width, int height, int channels, unsigned char* out, int to_width,
                             int to_height, const double* matrix, int interpolation) {
  return guarded(false, [&] {
    cv::Mat target = view(out, to_width, to_height, channels);
    cv::warpPerspective(view(in, width, height, channels), target, cv::Mat(3, 3, CV_64F, const_cast<double*>(matrix)), target.size(),
                        interpolation, cv::BORDER_REPLICATE);
    return true;
  });
}

// contrast-limited adaptive histogram equalisation of one grey channel
bool plates_clahe(const unsigned char* in, int width, int height, unsigned char* out, double clip_limit, int tiles) {
  return guarded(false, [&] {
    cv::Mat target = view(out, width, height, 1);
    cv::createCLAHE(clip_limit, cv::Size(tiles, tiles))->apply(view(in, width, height, 1), target);
    return true;
  });
}

bool plates_grey(const unsigned char* in, int width, int height, unsigned char* out) {
  return guarded(false, [&] {
    cv::Mat target = view(out, width, height, 1);
    cv::cvtColor(view(in, width, height, 3), target, cv::COLOR_BGR2GRAY);
    return true;
  });
}

}  // extern "C"
