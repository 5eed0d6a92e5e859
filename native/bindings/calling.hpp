// What every call from Python needs that works without Python's lock: bytes that stay, and letting other threads run.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <string_view>
#include <vector>

namespace user_state {

/// The bytes of a sequence of records, None being a user without one: a view without data.
class Blobs {
 public:
  explicit Blobs(const pybind11::sequence& blobs) : held_(blobs), views_(held_.size()) {
    for (std::size_t at = 0; at < views_.size(); ++at) {
      PyObject* blob = PyTuple_GET_ITEM(held_.ptr(), static_cast<pybind11::ssize_t>(at));
      if (blob == Py_None) continue;
      if (!PyBytes_Check(blob)) throw pybind11::type_error("expected records as bytes, or None");
      views_[at] = {PyBytes_AS_STRING(blob), static_cast<std::size_t>(PyBytes_GET_SIZE(blob))};
    }
  }

  std::size_t size() const { return views_.size(); }
  std::string_view operator[](std::size_t at) const { return views_[at]; }

 private:
  /// The caller's list may change while others run; these bytes must not go away.
  const pybind11::tuple held_;
  std::vector<std::string_view> views_;
};

/// Lets other threads run while `work` does.
///
/// Not by `py::gil_scoped_release`: a daemon thread that asks for the lock while Python shuts down is ended there, and in
/// a destructor that ends the process.
template <class Work>
void without_gil(Work work) {
  std::exception_ptr thrown;
  PyThreadState* thread = PyEval_SaveThread();
  try {
    work();
  } catch (...) {
    thrown = std::current_exception();
  }
  PyEval_RestoreThread(thread);
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace user_state
