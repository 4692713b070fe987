// What every op of ours needs from TensorFlow; only for files that are compiled with its headers.
#pragma once

#include <algorithm>
#include <atomic>

#include "isa.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/platform/blocking_counter.h"
#include "tensorflow/core/platform/threadpool.h"
#include "threads.h"

namespace espalier {

// The shape rules are in TypeScript; TensorFlow is told none.
inline tensorflow::Status unknownShapes(tensorflow::shape_inference::InferenceContext* c) {
  for (int i = 0; i < c->num_outputs(); i++) c->set_output(i, c->UnknownShape());
  return tensorflow::Status();
}

inline const float* floatsOf(const tensorflow::Tensor& t) { return t.flat<float>().data(); }
inline float* floatsOf(tensorflow::Tensor* t) { return t->flat<float>().data(); }

// TensorFlow's pool, which its own kernels share: the caller works too, so that a pool that is busy delays nobody.
inline void runOnPool(const void* pool, int tasks, void (*task)(const void*, int), const void* argument) {
  const auto& workers = *static_cast<const tensorflow::DeviceBase::CpuWorkerThreads*>(pool);
  const int helpers = std::min(workers.num_threads, tasks) - 1;
  std::atomic<int> next{0};
  const auto takeTasks = [&] {
    for (int i; (i = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) task(argument, i);
  };
  tensorflow::BlockingCounter done(helpers);
  for (int i = 0; i < helpers; i++) {
    workers.workers->Schedule([&] {
      takeTasks();
      done.DecrementCount();
    });
  }
  takeTasks();
  done.Wait();
}

inline Threads threadsOf(tensorflow::OpKernelContext* c) {
  const auto* workers = c->device()->tensorflow_cpu_worker_threads();
  return {runOnPool, workers, workers->num_threads};
}

}  // namespace espalier
