// Included before every source file of OpenALPR (-include): what OpenCV 4 moved or renamed since OpenALPR was written for OpenCV 2 and 3.
#pragma once
#include <iostream>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/calib3d.hpp>
#include <opencv2/objdetect.hpp>
#include <opencv2/features2d.hpp>
#include <opencv2/imgproc/imgproc_c.h>
#include <opencv2/imgcodecs/legacy/constants_c.h>
#include <opencv2/calib3d/calib3d_c.h>
#ifndef CV_LOAD_IMAGE_COLOR
#define CV_LOAD_IMAGE_COLOR 1
#endif
#ifndef CV_HAAR_DO_CANNY_PRUNING
#define CV_HAAR_DO_CANNY_PRUNING 1
#endif
