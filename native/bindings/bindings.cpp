// All that knows Python but reading.cpp, as one translation unit: pybind11's headers and templates take the compiler seven seconds each
// time, which is most of what compiling used to cost. setup.py compiles a file that stands here only as part of this one.
#include "bindings/admitting.cpp"
#include "bindings/event_batches.cpp"
#include "bindings/event_rows.cpp"
#include "bindings/folding.cpp"
#include "bindings/from_python.cpp"
#include "bindings/histories.cpp"
#include "bindings/module.cpp"
#include "bindings/relevance.cpp"
#include "bindings/replaying.cpp"
#include "bindings/sketches.cpp"
