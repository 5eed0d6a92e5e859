// What is read from records, as Python holds it: `ReadingProgram`.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/folding.hpp"
#include "record/reader.hpp"

namespace user_state::reading {

/// A program, what its outputs are called, and readers that no call uses: to make one costs as much as to read some
/// records. Only who holds Python's lock takes and gives back.
class SharedProgram {
 public:
  SharedProgram(Program program, const pybind11::dict& described) : names(described), program_(std::move(program)) {}
  SharedProgram(const SharedProgram&) = delete;
  SharedProgram& operator=(const SharedProgram&) = delete;

  const Program& program() const { return program_; }
  const Names names;

  std::unique_ptr<RecordReader> take() {
    if (idle_.empty()) return std::make_unique<RecordReader>(program_);
    std::unique_ptr<RecordReader> taken = std::move(idle_.back());
    idle_.pop_back();
    return taken;
  }
  void give_back(std::unique_ptr<RecordReader> reader) {
    if (idle_.size() < kMostIdle && !reader->has_refused()) idle_.push_back(std::move(reader));
  }

 private:
  static constexpr std::size_t kMostIdle = 16;

  Program program_;
  std::vector<std::unique_ptr<RecordReader>> idle_;
};

/// A reader for one call, with what migrates records of other layouts.
class BorrowedReader {
 public:
  BorrowedReader(std::shared_ptr<SharedProgram> from, Folding& folding, Outputs& out)
      : from_(std::move(from)), reader_(from_->take()), folder_(folding) {
    reader_->begin(out, *folder_);
  }
  ~BorrowedReader() { from_->give_back(std::move(reader_)); }
  BorrowedReader(const BorrowedReader&) = delete;
  BorrowedReader& operator=(const BorrowedReader&) = delete;

  RecordReader* operator->() const { return reader_.get(); }

 private:
  std::shared_ptr<SharedProgram> from_;
  std::unique_ptr<RecordReader> reader_;
  Folding::Borrowed folder_;
};

}  // namespace user_state::reading
