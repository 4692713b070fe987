// The text of a program for the register machine, made ready to run.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "elementwise.h"

namespace espalier {

// Instructions are separated by ";", each "target operation source [source [source]]": a target is a register `r0` or
// an output `o0`, a source an input `i0`, a register or a constant `c-0.5`; "=" is the name of a copy.
struct Program {
  int inputs, outputs;
  std::vector<float> constants;
  int registers = 0;
  std::vector<Instruction> instructions;
  std::vector<int> lastReader;  // of each input, the last instruction that reads it; -1 for none
  std::vector<int> writer;      // of each output
  std::string mistake;          // empty if there is none

  Program(const std::string& text, int inputCount, int outputCount)
      : inputs(inputCount), outputs(outputCount), lastReader(inputCount, -1), writer(outputCount, -1) {
    std::istringstream lines(text);
    for (std::string line; mistake.empty() && std::getline(lines, line, ';');) parse(line);
    for (int i = 0; i < outputs && mistake.empty(); i++)
      if (writer[i] < 0) mistake = "no instruction writes output " + std::to_string(i);
    if (mistake.empty()) place();
  }

 private:
  // While parsing, sources and targets are values, which get their places in the end.
  struct Value {
    enum { kInput, kConstant, kResult } kind;
    int index;        // of the input or the constant
    int output = -1;  // which it is to become
  };
  std::vector<Value> values_;
  std::map<std::string, int> named_;

  int valueOf(const std::string& name) {
    const auto known = named_.find(name);
    if (known != named_.end()) return known->second;
    const char* rest = name.c_str() + (name.empty() ? 0 : 1);
    char* end = nullptr;
    Value value{Value::kInput, 0};
    if (name[0] == 'c') {
      constants.push_back(strtof(rest, &end));
      value = {Value::kConstant, static_cast<int>(constants.size()) - 1};
    } else {
      value.index = strtol(rest, &end, 10);
      if (name[0] != 'i' || value.index < 0 || value.index >= inputs) end = nullptr;
    }
    if (end == nullptr || end == rest || *end != 0) {
      mistake = "there is no \"" + name + "\" to read";
      return 0;
    }
    values_.push_back(value);
    return named_[name] = values_.size() - 1;
  }

  void parse(const std::string& line) {
    std::istringstream words(line);
    std::string target, operation, source;
    words >> target >> operation;
    if (target.empty()) return;
    Instruction made{};
    const int needed = find(operation, &made.operation);
    int count = 0;
    for (; words >> source; count++)
      if (count < 3) made.from[count] = valueOf(source);
    if (count != needed && mistake.empty()) mistake = "\"" + line + "\" is no instruction";
    if (!mistake.empty()) return;
    for (; count < 3; count++) made.from[count] = made.from[0];
    if (target[0] == 'r') return define(target, made);
    const int output = target[0] == 'o' ? atoi(target.c_str() + 1) : -1;
    if (output < 0 || output >= outputs || writer[output] >= 0) {
      mistake = "\"" + target + "\" is not to be written, or was before";
      return;
    }
    // A result that becomes an output is written there at once.
    Value& from = values_[made.from[0]];
    if (made.operation != Operation::k_copy || from.kind != Value::kResult || from.output >= 0) {
      define(target, made);
      values_.back().output = output;
      writer[output] = instructions.size() - 1;
      return;
    }
    from.output = output;
    for (size_t i = 0; i < instructions.size(); i++)
      if (instructions[i].to == made.from[0]) writer[output] = i;
  }

  void define(const std::string& target, Instruction made) {
    made.to = values_.size();
    values_.push_back({Value::kResult, 0});
    instructions.push_back(made);
    named_[target] = made.to;
  }

  static int find(const std::string& name, Operation* operation) {
    static const std::map<std::string, std::pair<Operation, int>> all = {
        {"=", {Operation::k_copy, 1}},
#define OP(name, sources) {#name, {Operation::k_##name, sources}},
        ESPALIER_OPERATIONS(OP)
#undef OP
    };
    const auto found = all.find(name);
    if (found == all.end()) return -1;
    *operation = found->second.first;
    return found->second.second;
  }

  // Gives every value its place; a register is used again once the last reader of its value has begun.
  void place() {
    std::vector<int> lastRead(values_.size(), -1), places(values_.size(), -1), free;
    for (size_t i = 0; i < instructions.size(); i++)
      for (const int value : instructions[i].from) lastRead[value] = i;
    for (size_t v = 0; v < values_.size(); v++) {
      const Value& value = values_[v];
      if (value.kind == Value::kInput) lastReader[places[v] = value.index] = lastRead[v];
      if (value.kind == Value::kConstant) places[v] = inputs + outputs + value.index;
      if (value.output >= 0) places[v] = inputs + value.output;
    }
    const int firstRegister = inputs + outputs + constants.size();
    for (size_t i = 0; i < instructions.size(); i++) {
      Instruction& at = instructions[i];
      for (int s = 0; s < 3; s++) {
        const int value = at.from[s];
        at.from[s] = places[value];
        const bool last = lastRead[value] == static_cast<int>(i) && places[value] >= firstRegister;
        if (last && std::find(free.begin(), free.end(), places[value]) == free.end()) free.push_back(places[value]);
      }
      int& to = places[at.to];
      if (to < 0) {
        if (free.empty()) free.push_back(firstRegister + registers++);
        to = free.back();
        free.pop_back();
        if (lastRead[at.to] < 0) free.push_back(to);  // nobody reads it
      }
      at.to = to;
    }
  }
};

}  // namespace espalier
