// Tells what the kernels find here, and that the binding has them at all.
#include <cstdlib>
#include <cstring>

#include "op.h"

namespace espalier {

static Isa best() {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  return avx512 ? kAvx512 : avx2 ? kAvx2 : kBase;
}

Isa isa() {
  static const Isa there = best();
  // Asked again at each call, so that one process can test all three.
  const char* name = getenv("ESPALIER_NATIVE_ISA");
  if (name == nullptr) return there;
  return std::min(there, strcmp(name, "base") == 0 ? kBase : strcmp(name, "avx2") == 0 ? kAvx2 : kAvx512);
}

namespace {
using namespace tensorflow;

// [instruction set, threads]
REGISTER_OP("EspalierProcessor").Output("found: int32").SetShapeFn(unknownShapes);
class Processor : public OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* c) override {
    Tensor* found = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({2}), &found));
    found->flat<int32>()(0) = isa();
    found->flat<int32>()(1) = threadsOf(c).count;
  }
};
REGISTER_KERNEL_BUILDER(Name("EspalierProcessor").Device(DEVICE_CPU), Processor);

}  // namespace
}  // namespace espalier
