// What every op of ours needs from TensorFlow; only for files that are compiled with its headers.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>

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

// TensorFlow's pool, which its own kernels share. The caller works too, and a helper that comes when all is done only
// looks at `Work`: so a pool that is busy with another op delays nobody.
inline void runOnPool(const void* pool, int tasks, void (*task)(const void*, int), const void* argument) {
  struct Work {
    explicit Work(int tasks) : unfinished(tasks) {}
    std::atomic<int> next{0};
    tensorflow::BlockingCounter unfinished;
  };
  const auto work = std::make_shared<Work>(tasks);
  const auto takeTasks = [=] {
    for (int i; (i = work->next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
      task(argument, i);
      work->unfinished.DecrementCount();
    }
  };
  const auto& workers = *static_cast<const tensorflow::DeviceBase::CpuWorkerThreads*>(pool);
  for (int i = 1; i < std::min(workers.num_threads, tasks); i++) workers.workers->Schedule(takeTasks);
  takeTasks();
  work->unfinished.Wait();
}

inline Threads threadsOf(tensorflow::OpKernelContext* c) {
  const auto* workers = c->device()->tensorflow_cpu_worker_threads();
  return {runOnPool, workers, workers->num_threads};
}

}  // namespace espalier
