// Attention and its gradient. Only the scores of some queries are there at a time.
#pragma once

#include <cstdint>

#include "dropout.h"

namespace espalier {

// Which keys a row of the mask shows: none before `first`, none from `end` on, all between if `solid`.
struct Span {
  int first, end;
  bool solid;
};

struct Attention {
  int batch, heads, groups, queries, keys;
  int width, depth;  // of a query and a key, of a value
  const float* q;    // [batch, heads, queries, width]
  const float* k;    // [batch, groups, keys, width]
  const float* v;    // [batch, groups, keys, depth]
  const float* mask;       // rows of [keys] of which 0 hides, or null
  const Span* spans;       // of the rows of the mask, or null; where they are solid, the mask is not read
  int64_t maskStrides[3];  // rows from one batch, head and query to the next; 0 where one serves all
  float scale;
  float cap;  // cap * tanh(score / cap) takes the place of a score; 0 for none
  Draw draw;
};

struct AttentionSlope {
  Attention of;
  const float* output;
  const float* dy;  // the gradient of the output
  float *dq, *dk, *dv;
  // For several heads of a group: [batch, heads, keys, width + depth]. Else null.
  float* parts;
};

}  // namespace espalier

ESPALIER_EACH_ISA(void findSpans(const Threads& threads, const float* mask, int64_t rows, int keys, Span* spans);
                  void attention(const Threads& threads, const Attention& of, float* output);
                  void attentionSlope(const Threads& threads, const AttentionSlope& slope);)
