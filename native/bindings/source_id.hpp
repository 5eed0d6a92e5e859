// Of which sources this was built: the id of user_state/source_id.py. setup.py writes the file that defines it.
#pragma once

namespace user_state {

extern const char* const kSourceId;

}  // namespace user_state
