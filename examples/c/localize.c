/* Localize a photo with a SavedModel, without Python.
 *
 *     make -C examples/c          # or the compiler's line in the Makefile
 *     examples/c/localize models/cam/1 photo.jpg
 *
 * It uses what TensorFlow Serving uses: the loader of SavedModels, and the signature `localize_bytes` by the
 * names of its input and outputs. For each box it prints the class, its label if the model has labels, the
 * score, and ymin, xmin, ymax, xmax in [0, 1] of the photo.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

#define SIGNATURE "localize_bytes"

enum { BOXES, CLASSES, SCORES, COUNT, OUTPUTS };
static const char *const output_names[OUTPUTS] = {
    "detection_boxes", "detection_classes", "detection_scores", "num_detections"};

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "localize: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

static void check(const TF_Status *status, const char *task) {
    if (TF_GetCode(status) != TF_OK) fail("%s: %s", task, TF_Message(status));
}

/* ---- The signature, out of the model's description ------------------------------------------------------ */

/* Part of a protocol buffer. */
typedef struct {
    const uint8_t *at, *end;
} Message;

static uint64_t next_varint(Message *message) {
    uint64_t value = 0;
    for (int shift = 0; message->at < message->end && shift < 64; shift += 7) {
        uint8_t byte = *message->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    fail("the description of the model is damaged");
    return 0;
}

/* Goes to the next field; its number, or 0 at the end. Fields without a length leave `content` empty. */
static int next_field(Message *message, Message *content) {
    if (message->at >= message->end) return 0;
    uint64_t tag = next_varint(message), length = 0;
    content->at = content->end = message->at;
    switch (tag & 7) {
        case 0: next_varint(message); return (int)(tag >> 3);
        case 1: length = 8; break;
        case 2: length = next_varint(message); break;
        case 5: length = 4; break;
        default: fail("the description of the model is damaged");
    }
    if (length > (uint64_t)(message->end - message->at)) fail("the description of the model is damaged");
    if ((tag & 7) == 2) content->at = message->at, content->end = message->at + length;
    message->at += length;
    return (int)(tag >> 3);
}

/* The first field of that number. */
static Message field(Message message, int number) {
    Message content = {NULL, NULL};
    for (int found; (found = next_field(&message, &content)) && found != number;) {}
    return content;
}

/* The value of a key in a map, which is a repeated field of entries {1: key, 2: value}. */
static Message lookup(Message message, int number, const char *key) {
    Message entry;
    for (int found; (found = next_field(&message, &entry));) {
        Message name = field(entry, 1);
        size_t length = (size_t)(name.end - name.at);
        if (found == number && length == strlen(key) && !memcmp(name.at, key, length)) return field(entry, 2);
    }
    fail("the model must have '%s' in its signature '%s'; it has not", key, SIGNATURE);
    return message;
}

/* The place in the graph that a TensorInfo names, such as "StatefulPartitionedCall:3". */
static TF_Output place_of(TF_Graph *graph, Message tensor_info) {
    char name[512];
    Message text = field(tensor_info, 1);
    snprintf(name, sizeof name, "%.*s", (int)(text.end - text.at), (const char *)text.at);
    char *colon = strrchr(name, ':');
    TF_Output place = {NULL, colon ? atoi(colon + 1) : 0};
    if (colon) *colon = '\0';
    place.oper = TF_GraphOperationByName(graph, name);
    if (!place.oper) fail("the graph must have the operation '%s'; it has not", name);
    return place;
}

/* ---- Files ---------------------------------------------------------------------------------------------- */

static char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    char *content = NULL;
    size_t room = 1 << 16;
    *size = 0;
    do {
        room *= 2;
        content = realloc(content, room + 1);
        if (!content) fail("%s does not fit into memory", path);
        *size += fread(content + *size, 1, room - *size, file);
    } while (*size == room);
    fclose(file);
    content[*size] = '\0';
    return content;
}

/* Copies the line of a text, or nothing if there is no such line. */
static void copy_line(const char *text, int number, char *line, size_t room) {
    while (text && number-- > 0) text = (text = strchr(text, '\n')) ? text + 1 : NULL;
    snprintf(line, room, "%.*s", text ? (int)strcspn(text, "\r\n") : 0, text ? text : "");
}

/* ---- The photo ------------------------------------------------------------------------------------------ */

/* A batch of one string. */
static TF_Tensor *string_tensor(const char *content, size_t size) {
    int64_t one = 1;
    TF_Tensor *tensor = TF_AllocateTensor(TF_STRING, &one, 1, sizeof(TF_TString));
    TF_TString *string = TF_TensorData(tensor);
    TF_TString_Init(string);
    TF_TString_Copy(string, content, size);
    return tensor;
}

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: localize SAVED_MODEL PHOTO\n");
        return 2;
    }
    const char *model = arguments[1], *photo = arguments[2], *tag = "serve";
    size_t size;
    char *encoded = read_file(photo, &size);
    if (!encoded) fail("%s cannot be read", photo);

    TF_Status *status = TF_NewStatus();
    TF_Graph *graph = TF_NewGraph();
    TF_SessionOptions *options = TF_NewSessionOptions();
    TF_Buffer *description = TF_NewBuffer(); /* a MetaGraphDef */
    TF_Session *session =
        TF_LoadSessionFromSavedModel(options, NULL, model, &tag, 1, graph, description, status);
    check(status, model);

    Message meta_graph = {description->data, (const uint8_t *)description->data + description->length};
    Message signature = lookup(meta_graph, 5, SIGNATURE);
    TF_Output input = place_of(graph, lookup(signature, 1, "image_bytes")), outputs[OUTPUTS];
    for (int i = 0; i < OUTPUTS; i++) outputs[i] = place_of(graph, lookup(signature, 2, output_names[i]));

    TF_Tensor *images = string_tensor(encoded, size), *results[OUTPUTS];
    TF_SessionRun(session, NULL, &input, &images, 1, outputs, results, OUTPUTS, NULL, 0, NULL, status);
    check(status, photo);

    char path[4096], label[256];
    snprintf(path, sizeof path, "%s/assets/labels.txt", model);
    char *labels = read_file(path, &size);
    const float *boxes = TF_TensorData(results[BOXES]), *scores = TF_TensorData(results[SCORES]);
    const int32_t *classes = TF_TensorData(results[CLASSES]);
    int32_t detections = *(const int32_t *)TF_TensorData(results[COUNT]);
    for (int32_t i = 0; i < detections; i++) {
        const float *box = boxes + 4 * i;
        copy_line(labels, classes[i], label, sizeof label);
        printf("%d\t%s\t%.6f\t%.6f %.6f %.6f %.6f\n", (int)classes[i], label, scores[i], box[0], box[1], box[2],
               box[3]);
    }

    for (int i = 0; i < OUTPUTS; i++) TF_DeleteTensor(results[i]);
    TF_TString_Dealloc(TF_TensorData(images));
    TF_DeleteTensor(images);
    TF_CloseSession(session, status);
    TF_DeleteSession(session, status);
    TF_DeleteBuffer(description);
    TF_DeleteSessionOptions(options);
    TF_DeleteGraph(graph);
    TF_DeleteStatus(status);
    free(labels);
    free(encoded);
    return 0;
}
