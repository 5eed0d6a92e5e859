// All that knows Python, as one translation unit: pybind11's headers and templates take the compiler seven seconds each
// time, which is most of what compiling used to cost. setup.py compiles a file that stands here only as part of this one.
#include "admitting.cpp"
#include "event_rows.cpp"
#include "folder.cpp"
#include "from_python.cpp"
#include "module.cpp"
#include "row_reader.cpp"
