/** A passage of a source, and what is compiled in its place. */
export interface Mend {
  readonly from: string
  readonly to: string
}

/** Every passage replaced by another, or the one that does not stand in the text exactly once. */
export const mended = (
  text: string,
  mends: readonly Mend[],
): { readonly ok: true; readonly text: string } | { readonly ok: false; readonly missing: string } => {
  const missing = mends.find(({ from }) => text.split(from).length !== 2)
  return missing === undefined
    ? { ok: true, text: mends.reduce((all, { from, to }) => all.split(from).join(to), text) }
    : { ok: false, missing: missing.from }
}

/**
 * What is mended in `tfjs_backend.cc` of tfjs-node 4.22.0.
 *
 * A graph that fails kept a reference to every tensor that it was fed, for ever, and their names: both were freed at the
 * end of a run that succeeds. Now whoever holds them frees them, whichever way the function is left.
 */
export const backendMends: readonly Mend[] = [
  {
    from: `  std::vector<const char *> input_op_name_array =
      splitStringByComma(input_op_names);
  std::vector<const char *> output_op_name_array =
      splitStringByComma(output_op_names);
`,
    to: `  struct Names : std::vector<const char *> {
    explicit Names(const std::string &names) : vector(splitStringByComma(names)) {}
    ~Names() { for (const char *name : *this) delete[] name; }
  };
  const Names input_op_name_array(input_op_names);
  const Names output_op_name_array(output_op_names);
`,
  },
  {
    from: `  std::vector<TF_Tensor *> input_values;
`,
    to: `  struct Tensors : std::vector<TF_Tensor *> {
    ~Tensors() { for (TF_Tensor *tensor : *this) TF_DeleteTensor(tensor); }
  } input_values;
`,
  },
  {
    from: `
    // delete output op name string
    delete output_op_name_array[i];
`,
    to: '\n',
  },
  {
    from: `  for (uint32_t i = 0; i < num_input_ids; i++) {
    // Deallocate input TF_Tensor in C++.
    TF_DeleteTensor(input_values[i]);
    // delete input op name string
    delete input_op_name_array[i];
  }
`,
    to: '',
  },
]
