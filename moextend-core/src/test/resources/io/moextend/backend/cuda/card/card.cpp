// A card's driver and its library of products as far as the backend calls them, on the memory and
// the processor of this machine; kernels run in the emulator. The functions have the names and the
// arguments that cuda.h and cublasLt.h give them (pointers, 64-bit sizes and 32-bit numbers), and
// refuse what the real ones would refuse: calls without the context, foreign handles, attributes of
// a wrong size.

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int Result;
typedef uint64_t Handle;

static const Result INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_IMAGE = 200;
static const Result INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500, FAILED = 719;
static const Handle CONTEXT = 0x1234, STREAM = 0x77, EVENT = 0x88, MODULE = 0x99, LT = 0x55;
static const size_t MEMORY = 1ull << 30;

static int (*emulator_launch)(const char*, unsigned, unsigned, unsigned, unsigned, unsigned,
                              unsigned, unsigned, void**);
static int (*emulator_has)(const char*);
static thread_local Handle current;

static Result with_context(bool fits) {
  return current != CONTEXT ? INVALID_CONTEXT : fits ? 0 : INVALID_HANDLE;
}

#define API extern "C" Result
#define RETURN_UNLESS(fits)                 \
  if (Result wrong = with_context(fits)) {  \
    return wrong;                           \
  }

// ---- the test's own: where kernels run

API card_use(const char* emulator) {
  void* library = dlopen(emulator, RTLD_NOW);
  if (!library) {
    return FAILED;
  }
  *(void**)&emulator_launch = dlsym(library, "emulator_launch");
  *(void**)&emulator_has = dlsym(library, "emulator_has");
  return emulator_launch && emulator_has ? 0 : FAILED;
}

// ---- the driver

API cuInit(unsigned flags) { return flags == 0 ? 0 : INVALID_VALUE; }
API cuDriverGetVersion(int* version) { return *version = 12040, 0; }
API cuDeviceGetCount(int* count) { return *count = 1, 0; }
API cuDeviceGet(int* device, int index) { return *device = index, index == 0 ? 0 : INVALID_VALUE; }

API cuDeviceGetName(char* name, int length, int device) {
  return strncpy(name, "a card of paper", length), device == 0 ? 0 : INVALID_VALUE;
}

API cuDeviceGetAttribute(int* value, int attribute, int device) {
  *value = attribute == 75 ? 8 : attribute == 76 ? 0 : attribute == 16 ? 108 : -1;
  return device == 0 && *value >= 0 ? 0 : INVALID_VALUE;
}

API cuDeviceTotalMem_v2(size_t* bytes, int device) {
  return *bytes = MEMORY, device == 0 ? 0 : INVALID_VALUE;
}

API cuDevicePrimaryCtxRetain(Handle* context, int device) {
  return *context = CONTEXT, device == 0 ? 0 : INVALID_VALUE;
}

API cuDevicePrimaryCtxRelease_v2(int device) { return device == 0 ? 0 : INVALID_VALUE; }

API cuCtxSetCurrent(Handle context) {
  current = context;
  return context == CONTEXT ? 0 : INVALID_CONTEXT;
}

API cuGetErrorName(Result error, const char** text) { return *text = "CUDA_ERROR_OF_PAPER", 0; }
API cuGetErrorString(Result error, const char** text) { return *text = "paper tears", 0; }

API cuMemGetInfo_v2(size_t* left, size_t* total) {
  RETURN_UNLESS(true);
  return *left = MEMORY / 2, *total = MEMORY, 0;
}

API cuMemAlloc_v2(Handle* address, size_t bytes) {
  RETURN_UNLESS(true);
  void* memory;
  if (bytes > MEMORY || posix_memalign(&memory, 512, bytes)) {
    return OUT_OF_MEMORY;
  }
  memset(memory, 0xff, bytes);
  return *address = (Handle)memory, 0;
}

API cuMemFree_v2(Handle address) {
  RETURN_UNLESS(true);
  free((void*)address);
  return 0;
}

API cuMemHostAlloc(void** memory, size_t bytes, unsigned flags) {
  RETURN_UNLESS(flags == 3);
  return posix_memalign(memory, 4096, bytes) ? OUT_OF_MEMORY : 0;
}

API cuMemFreeHost(void* memory) {
  RETURN_UNLESS(true);
  free(memory);
  return 0;
}

API cuStreamCreate(Handle* stream, unsigned flags) {
  RETURN_UNLESS(flags == 1);
  return *stream = STREAM, 0;
}

API cuStreamDestroy_v2(Handle stream) { return with_context(stream == STREAM); }
API cuStreamSynchronize(Handle stream) { return with_context(stream == STREAM); }
API cuStreamQuery(Handle stream) { return with_context(stream == STREAM); }

API cuStreamWaitEvent(Handle stream, Handle event, unsigned flags) {
  return with_context(stream == STREAM && event == EVENT && flags == 0);
}

API cuEventCreate(Handle* event, unsigned flags) {
  RETURN_UNLESS(flags == 2);
  return *event = EVENT, 0;
}

API cuEventDestroy_v2(Handle event) { return with_context(event == EVENT); }
API cuEventSynchronize(Handle event) { return with_context(event == EVENT); }

API cuEventRecord(Handle event, Handle stream) {
  return with_context(event == EVENT && stream == STREAM);
}

API cuMemcpyAsync(Handle to, Handle from, size_t bytes, Handle stream) {
  RETURN_UNLESS(stream == STREAM);
  memmove((void*)to, (const void*)from, bytes);
  return 0;
}

API cuMemsetD8Async(Handle to, unsigned char value, size_t bytes, Handle stream) {
  RETURN_UNLESS(stream == STREAM);
  memset((void*)to, value, bytes);
  return 0;
}

API cuModuleLoadData(Handle* module, const void* image) {
  RETURN_UNLESS(true);
  return *module = MODULE, memcmp(image, "\x7f" "ELF", 4) == 0 ? 0 : INVALID_IMAGE;
}

API cuModuleUnload(Handle module) { return with_context(module == MODULE); }

API cuModuleGetFunction(Handle* function, Handle module, const char* name) {
  RETURN_UNLESS(module == MODULE);
  return *function = (Handle)strdup(name), emulator_has(name) ? 0 : NOT_FOUND;
}

API cuFuncSetAttribute(Handle function, int attribute, int value) {
  return with_context(attribute == 8 && value <= 163 << 10);
}

API cuLaunchKernel(Handle function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                   unsigned bz, unsigned shared, Handle stream, void** arguments, void** extra) {
  RETURN_UNLESS(stream == STREAM && !extra);
  return emulator_launch((const char*)function, gx, gy, gz, bx, by, bz, shared, arguments) ? FAILED
                                                                                            : 0;
}

// ---- products of column-major matrices

struct Operation {
  int transpose_a = 0, transpose_b = 0, epilogue = 1;
  const void* bias = 0;
};

struct Layout {
  int type;
  uint64_t rows, columns;
  int64_t stride;
};

static const int F32 = 0, BF16 = 14, COMPUTE_F32 = 68, WRONG = 7;

static float get(int type, const void* p, uint64_t i) {
  if (type == F32) {
    return ((const float*)p)[i];
  }
  uint32_t bits = (uint32_t)((const uint16_t*)p)[i] << 16;
  float value;
  return memcpy(&value, &bits, 4), value;
}

static void put(int type, void* p, uint64_t i, float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  if (type == F32) {
    ((float*)p)[i] = value;
  } else {
    ((uint16_t*)p)[i] = (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  }
}

API cublasLtCreate(Handle* handle) { return *handle = LT, current == CONTEXT ? 0 : 1; }
API cublasLtDestroy(Handle handle) { return handle == LT ? 0 : WRONG; }

API cublasLtMatmulDescCreate(Operation** operation, int compute, int scale) {
  return *operation = new Operation, compute == COMPUTE_F32 && scale == F32 ? 0 : WRONG;
}

API cublasLtMatmulDescDestroy(Operation* operation) { return delete operation, 0; }

API cublasLtMatmulDescSetAttribute(Operation* operation, int attribute, const void* value,
                                   size_t bytes) {
  if (bytes != (attribute == 8 ? 8u : 4u)) {
    return WRONG;
  }
  switch (attribute) {
    case 3: return operation->transpose_a = *(const int*)value, 0;
    case 4: return operation->transpose_b = *(const int*)value, 0;
    case 7: return operation->epilogue = *(const int*)value, 0;
    case 8: return operation->bias = *(const void* const*)value, 0;
    default: return WRONG;
  }
}

API cublasLtMatrixLayoutCreate(Layout** layout, int type, uint64_t rows, uint64_t columns,
                               int64_t stride) {
  *layout = new Layout{type, rows, columns, stride};
  return stride >= (int64_t)rows && (type == F32 || type == BF16) ? 0 : WRONG;
}

API cublasLtMatrixLayoutDestroy(Layout* layout) { return delete layout, 0; }
API cublasLtMatmulPreferenceCreate(Handle* preference) { return *preference = 0x66, 0; }
API cublasLtMatmulPreferenceDestroy(Handle preference) { return preference == 0x66 ? 0 : WRONG; }

API cublasLtMatmulPreferenceSetAttribute(Handle preference, int attribute, const void* value,
                                         size_t bytes) {
  bool known = attribute == 1 ? bytes == 8 : bytes == 4 && (attribute == 3 || (attribute > 4 && attribute < 9));
  return preference == 0x66 && known ? 0 : WRONG;
}

API cublasLtMatmulAlgoGetHeuristic(Handle handle, Operation*, Layout*, Layout*, Layout* c, Layout* d,
                                   Handle preference, int wanted, uint64_t* result, int* found) {
  memset(result, 0, 96);
  result[0] = 0xabcdef, result[7] = 77;
  *found = wanted;
  return handle == LT && preference == 0x66 && wanted == 1 && c == d ? 0 : WRONG;
}

API cublasLtMatmul(Handle handle, Operation* how, const float* alpha, const void* a, Layout* la,
                   const void* b, Layout* lb, const float* beta, const void* c, Layout* lc, void* d,
                   Layout* ld, const uint64_t* algorithm, void* workspace, size_t bytes,
                   Handle stream) {
  uint64_t m = how->transpose_a ? la->columns : la->rows;
  uint64_t k = how->transpose_a ? la->rows : la->columns;
  uint64_t n = how->transpose_b ? lb->rows : lb->columns;
  uint64_t other = how->transpose_b ? lb->columns : lb->rows;
  if (handle != LT || stream != STREAM || c != d || lc != ld || m != lc->rows || n != lc->columns ||
      k != other || algorithm[0] != 0xabcdef || algorithm[7] != 77 || !workspace || bytes < 1) {
    return WRONG;
  }
  for (uint64_t j = 0; j < n; j++) {
    for (uint64_t i = 0; i < m; i++) {
      double sum = 0;
      for (uint64_t q = 0; q < k; q++) {
        uint64_t in_a = how->transpose_a ? i * la->stride + q : q * la->stride + i;
        uint64_t in_b = how->transpose_b ? q * lb->stride + j : j * lb->stride + q;
        sum += (double)get(la->type, a, in_a) * get(lb->type, b, in_b);
      }
      uint64_t at = j * lc->stride + i;
      float value = *alpha * (float)sum + (*beta != 0 ? *beta * get(lc->type, c, at) : 0);
      put(lc->type, d, at, value + (how->epilogue == 4 ? get(lc->type, how->bias, i) : 0));
    }
  }
  return 0;
}
