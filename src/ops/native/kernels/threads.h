// Threads as the SIMD code sees them: plain functions, because a template or an inline function of the standard library
// in a file compiled for AVX-512 may become the copy that the linker keeps for everybody.
#pragma once

namespace espalier {

struct Threads {
  // Calls task(argument, 0) to task(argument, tasks - 1), several at once, and returns when all are done.
  void (*run)(const void* pool, int tasks, void (*task)(const void*, int), const void* argument);
  const void* pool;
  int count;
};

}  // namespace espalier
