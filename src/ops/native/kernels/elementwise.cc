// The register machine as a TensorFlow op.
#include "elementwise.h"

#include "op.h"
#include "program.h"

namespace espalier {
namespace {
using namespace tensorflow;

// `shape` is that of the outputs; where it is left out, that of the input with most elements. `kinds` tells how each
// input is spread over them: 0 full, 1 one value, 2 a trailing row, 3 a leading column; where it is left out, the
// input's size does, which never means a column.
REGISTER_OP("EspalierElementwise")
    .Input("inputs: N * float")
    .Attr("N: int >= 1")
    .Attr("program: string")
    .Attr("outputs: int >= 1 = 1")
    .Attr("shape: list(int) = []")
    .Attr("kinds: list(int) = []")
    .Output("out: outputs * float")
    .SetShapeFn(unknownShapes);

class ElementwiseOp : public OpKernel {
 public:
  explicit ElementwiseOp(OpKernelConstruction* c) : OpKernel(c) {
    string text;
    OP_REQUIRES_OK(c, c->GetAttr("program", &text));
    OP_REQUIRES_OK(c, c->GetAttr("shape", &shape_));
    OP_REQUIRES_OK(c, c->GetAttr("kinds", &kinds_));
    program_ = std::make_unique<Program>(text, c->num_inputs(), c->num_outputs());
    OP_REQUIRES(c, program_->mistake.empty(), errors::InvalidArgument("EspalierElementwise: ", program_->mistake));
    OP_REQUIRES(c, kinds_.empty() || static_cast<int>(kinds_.size()) == c->num_inputs(),
                errors::InvalidArgument("EspalierElementwise: a kind for each input"));
    for (const int64_t kind : kinds_)
      OP_REQUIRES(c, kind >= 0 && kind <= 3, errors::InvalidArgument("EspalierElementwise: no kind ", kind));
  }
  void Compute(OpKernelContext* c) override {
    TensorShape shape = largest(c);
    if (!shape_.empty()) OP_REQUIRES_OK(c, TensorShape::BuildTensorShape(shape_, &shape));
    const int64_t size = shape.num_elements();
    std::vector<ElementwiseInput> inputs(c->num_inputs());
    for (size_t i = 0; i < inputs.size(); i++) {
      const Tensor& input = c->input(i);
      const int64_t own = input.NumElements();
      const Spread spread = spreadOf(i, own, size);
      inputs[i] = {floatsOf(input), own, spread};
      OP_REQUIRES(c, fits(spread, own, size),
                  errors::InvalidArgument("EspalierElementwise: input ", i, " of ", own, " elements for ", size));
    }
    std::vector<float*> outputs(c->num_outputs());
    for (size_t i = 0; i < outputs.size(); i++) {
      // The memory of an input may be written over by whoever writes no earlier than the input's last reader.
      std::vector<int> done;
      for (size_t j = 0; j < inputs.size(); j++)
        if (inputs[j].spread == Spread::kFull && program_->lastReader[j] <= program_->writer[i]) done.push_back(j);
      Tensor* out = nullptr;
      OP_REQUIRES_OK(c, c->forward_input_or_allocate_output(done, i, shape, &out));
      outputs[i] = floatsOf(out);
    }
    if (size == 0) return;
    ESPALIER_PICK(elementwise)(threadsOf(c), {size, inputs.data(), static_cast<int>(inputs.size()), outputs.data(),
                                              static_cast<int>(outputs.size()), program_->constants.data(),
                                              static_cast<int>(program_->constants.size()), program_->registers,
                                              program_->instructions.data(),
                                              static_cast<int>(program_->instructions.size())});
  }

 private:
  static TensorShape largest(OpKernelContext* c) {
    int most = 0;
    for (int i = 1; i < c->num_inputs(); i++)
      if (c->input(i).NumElements() > c->input(most).NumElements()) most = i;
    return c->input(most).shape();
  }
  static bool fits(Spread spread, int64_t own, int64_t size) {
    if (spread == Spread::kFull) return own == size;
    return spread == Spread::kScalar ? own == 1 : own > 0 && size % own == 0;
  }
  Spread spreadOf(size_t i, int64_t own, int64_t size) const {
    if (!kinds_.empty()) return static_cast<Spread>(kinds_[i]);
    return own == size ? Spread::kFull : own == 1 ? Spread::kScalar : Spread::kRow;
  }

  std::unique_ptr<Program> program_;
  std::vector<int64_t> shape_, kinds_;
};
REGISTER_KERNEL_BUILDER(Name("EspalierElementwise").Device(DEVICE_CPU), ElementwiseOp);

}  // namespace
}  // namespace espalier
