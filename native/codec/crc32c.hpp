// CRC-32C: what stands at the end of a record. It changes with every error of one to three bits, and with every burst of
// up to 32.
//
// Sources: Castagnoli, Braeuer, Herrmann, "Optimization of cyclic redundancy-check codes with 24 and 32 parity bits",
// IEEE Transactions on Communications 1993; the parameters are those of iSCSI, RFC 3720.
#pragma once

#include <cstdint>
#include <string_view>

namespace user_state {

std::uint32_t crc32c(std::string_view bytes);

/// The same without the processor's instruction for it.
std::uint32_t crc32c_portable(std::string_view bytes);

}  // namespace user_state
