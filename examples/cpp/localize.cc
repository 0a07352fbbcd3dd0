// Localize a photo with a SavedModel, without Python.
//
//     make -C examples/cpp          # or the compiler's line in the Makefile
//     examples/cpp/localize models/cam/1 photo.jpg
//
// It uses what TensorFlow Serving uses: the loader of SavedModels, and the signature `localize_bytes` by the
// names of its input and outputs. For each box it prints the class, its label if the model has labels, the
// score, and ymin, xmin, ymax, xmax in [0, 1] of the photo.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"

using tensorflow::Tensor;

// The contents of a file in `contents`, or false if it cannot be read.
static bool ReadFile(const std::string& path, std::string* contents) {
    std::ifstream file(path, std::ios::binary);
    contents->assign(std::istreambuf_iterator<char>(file), {});
    return file.good() || file.eof();
}

static std::vector<std::string> ReadLines(const std::string& path) {
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
}

static int Fail(const std::string& message) {
    std::cerr << "localize: " << message << "\n";
    return 1;
}

int main(int count, char** arguments) {
    if (count != 3) {
        std::cerr << "usage: localize SAVED_MODEL PHOTO\n";
        return 2;
    }
    const std::string model = arguments[1], photo = arguments[2];
    std::string encoded;
    if (!ReadFile(photo, &encoded)) return Fail(photo + " cannot be read");

    tensorflow::SavedModelBundleLite bundle;
    auto status = tensorflow::LoadSavedModel({}, {}, model, {"serve"}, &bundle);
    if (!status.ok()) return Fail(status.ToString());
    const auto signature = bundle.GetSignatures().find("localize_bytes");
    if (signature == bundle.GetSignatures().end()) return Fail(model + " must have the signature localize_bytes");

    Tensor images(tensorflow::DT_STRING, {1});
    images.flat<tensorflow::tstring>()(0) = encoded;
    std::vector<std::string> names;
    for (const char* name : {"detection_boxes", "detection_classes", "detection_scores", "num_detections"})
        names.push_back(signature->second.outputs().at(name).name());
    std::vector<Tensor> outputs;
    const std::string input = signature->second.inputs().at("image_bytes").name();
    status = bundle.GetSession()->Run({{input, images}}, names, {}, &outputs);
    if (!status.ok()) return Fail(status.ToString());

    const auto labels = ReadLines(model + "/assets/labels.txt");
    const auto boxes = outputs[0].tensor<float, 3>();
    const auto classes = outputs[1].matrix<int32_t>();
    const auto scores = outputs[2].matrix<float>();
    for (int i = 0; i < outputs[3].vec<int32_t>()(0); i++) {
        const size_t index = classes(0, i);
        const std::string label = index < labels.size() ? labels[index] : "";
        std::printf("%zu\t%s\t%.6f\t%.6f %.6f %.6f %.6f\n", index, label.c_str(), scores(0, i), boxes(0, i, 0),
                    boxes(0, i, 1), boxes(0, i, 2), boxes(0, i, 3));
    }
    return 0;
}
