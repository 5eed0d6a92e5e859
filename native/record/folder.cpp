#include "record/folder.hpp"

#include <algorithm>

namespace user_state {

namespace {

/// Of records that nobody stores.
constexpr std::string_view kNoVersion("\0\0\0\0\0\0\0\0", kNameBytes);

/// How many bytes a record has for a family beside its section, at most: its name, and how long either is.
constexpr std::size_t kMostBytesAround = 64;

}  // namespace

OtherLayout::OtherLayout(const FoldRules& rules, const Layout& layout)
    : plan(plan_of_layout(rules.plan, rules.layout, layout)),
      skew_us(std::min(rules.plan.max_clock_skew_us, layout.skew_us.value_or(rules.plan.max_clock_skew_us))) {
  for (const FamilyEntry& family : kFamilies) becomes.push_back(family.moved(layout, rules.layout));
}

Folder::Folder(const FoldRules& rules)
    : rules_(rules), known_(std::make_shared<OtherLayouts>()), families_(made_for(rules.plan)), blanks_(blanks_of(families_)) {
  for (const FamilyEntry& family : kFamilies) same_.push_back(family.moved(rules.layout, rules.layout));
  for (const auto& family : families_) is_open_.push_back(family && family->can_stay_open());
}

std::vector<std::string> Folder::blanks_of(const Families& families) {
  std::vector<std::string> blanks(1);
  Buffer packed;
  for (const auto& family : families) {
    // One that has not read anything yet holds nothing.
    packed.clear();
    Writer out(packed);
    if (family) family->write(out, Strings());
    blanks.emplace_back(packed.view());
  }
  return blanks;
}

Folder::Families Folder::made_for(const Plan& plan) {
  Families made;
  for (const FamilyEntry& family : kFamilies) made.push_back(family.in_plan(plan) ? family.make(plan) : nullptr);
  return made;
}

void Folder::read(const Families& families, const Envelope& envelope, std::string_view blob, const Strings& strings,
                  const std::vector<bool>& left_out) {
  for (std::size_t at = 0; at < families.size(); ++at) {
    if (at < left_out.size() && left_out[at]) continue;
    std::string_view section = envelope.sections[at + 1];
    try {
      if (families[at]) {
        families[at]->read(Reader(section), strings);
      } else {
        need(section.empty(), "state of which the record's layout has none");
      }
    } catch (const Corrupt& corrupt) {
      refuse_section(corrupt, blob, at + 1, section);
    }
  }
}

template <class Take>
void Folder::read_strings(const Envelope& envelope, std::string_view blob, Take take) {
  try {
    take(envelope.sections[0]);
  } catch (const Corrupt& corrupt) {
    refuse_section(corrupt, blob, 0, envelope.sections[0]);
  }
}

Envelope Folder::blank() const {
  Envelope envelope;
  envelope.layout = rules_.plan.layout;
  std::ranges::copy(blanks_, envelope.sections.begin());
  return envelope;
}

Folder::Other& Folder::other(std::string_view fingerprint) {
  auto found = other_.find(fingerprint);
  if (found != other_.end()) return found->second;
  auto known = known_->find(fingerprint);
  if (known == known_->end()) throw RecordError{RecordError::Kind::kUnknownLayout, std::string(fingerprint)};
  Other other{known->second, made_for(known->second->plan), {}};
  other.blanks = blanks_of(other.families);
  return other_.emplace(fingerprint, std::move(other)).first->second;
}

Envelope Folder::ready(Envelope envelope, std::string_view& blob, Buffer& migrated) {
  if (envelope.layout != rules_.plan.layout) {
    migrated.clear();
    migrate(envelope, blob, migrated);
    blob = migrated.view();
    envelope = open_record(blob);
  }
  // Written anew, such state would be lost.
  refuse_unknown(envelope);
  envelope.fill(blanks_);
  return envelope;
}

std::int64_t Folder::skew_us(std::string_view layout) {
  return layout == rules_.plan.layout ? rules_.plan.max_clock_skew_us : other(layout).layout->skew_us;
}

template <class Change>
void Folder::make(Envelope& envelope, std::string_view version, Change change) {
  try {
    for (std::int64_t value : envelope.longs) need(value >= 0 && value < kTooLarge);
    need(std::max(envelope.longs[Envelope::kClock], envelope.longs[Envelope::kLastEvent]) < kFarthestUs);
    becomes_.assign(families_.size(), Section::kBlank);
    for (std::size_t at = 0; at < families_.size(); ++at) {
      if (families_[at]) becomes_[at] = change(at, *families_[at]);
      if (becomes_[at] == Section::kPacked) families_[at]->use(strings_);
    }
    packed_.clear();
    ends_.clear();
    Writer packed(packed_);
    strings_.write(packed);
    ends_.push_back(packed.size());
    for (std::size_t at = 0; at < families_.size(); ++at) {
      switch (becomes_[at]) {
        case Section::kPacked: families_[at]->write(packed, strings_); break;
        case Section::kBlank: packed.bytes(blanks_[at + 1]); break;
        case Section::kCopied: packed.bytes(envelope.sections[at + 1]);
      }
      ends_.push_back(packed.size());
    }
  } catch (const Corrupt&) {
    // All bytes were read by now: what does not hold any more is that numbers, or how many there are, have room.
    throw RecordError{RecordError::Kind::kTooLarge, "the record would hold more than its bytes can count"};
  }
  envelope.version = version;
  envelope.layout = rules_.plan.layout;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < ends_.size(); ++at) {
    std::string_view section = packed_.view().substr(begin, ends_[at] - begin);
    envelope.sections[at] = section == blanks_[at] ? std::string_view() : section;
    begin = ends_[at];
  }
}

void Folder::fold(Envelope envelope, std::string_view blob, const Events& events, std::span<const std::uint32_t> rows,
                  std::int64_t horizon_us, std::string_view version, Buffer& out) {
  envelope = ready(envelope, blob, migrated_);
  fold(envelope, blob, events, rows, horizon_us, version, false);
  put_record(out, envelope);
}

void Folder::begin(OpenRecord& record) {
  record.envelope = blank();
  record.envelope.version = kNoVersion;
  for (std::size_t at = 0; at < families_.size(); ++at) {
    if (is_open_[at]) families_[at]->read(Reader(blanks_[at + 1]), strings_);
  }
}

bool Folder::has_room(const OpenRecord& record, std::size_t most_bytes) {
  std::size_t size = size_of_record(record.envelope);
  for (std::size_t at = 0; at < families_.size(); ++at) {
    if (is_open_[at]) size += kMostBytesAround + families_[at]->most_bytes();
  }
  if (size <= most_bytes) return true;
  Envelope envelope = record.envelope;
  measured_.clear();
  Writer packed(measured_);
  std::vector<std::size_t> begins;
  try {
    for (std::size_t at = 0; at < families_.size(); ++at) {
      begins.push_back(packed.size());
      if (is_open_[at]) families_[at]->write(packed, strings_);
    }
  } catch (const Corrupt&) {
    return false;
  }
  begins.push_back(packed.size());
  for (std::size_t at = 0; at < families_.size(); ++at) {
    if (!is_open_[at]) continue;
    std::string_view section = measured_.view().substr(begins[at], begins[at + 1] - begins[at]);
    envelope.sections[at + 1] = section == blanks_[at + 1] ? std::string_view() : section;
  }
  return size_of_record(envelope) <= most_bytes;
}

void Folder::fold(const OpenRecord& before, const Events& events, std::span<const std::uint32_t> rows, OpenRecord& after) {
  after.envelope = before.envelope;
  after.envelope.fill(blanks_);
  fold(after.envelope, before.bytes.view(), events, rows, 0, kNoVersion, true);
  // Sections stay where they are: what holds them changes hands.
  std::swap(after.bytes, packed_);
}

void Folder::fold(Envelope& envelope, std::string_view blob, const Events& events, std::span<const std::uint32_t> rows,
                  std::int64_t horizon_us, std::string_view version, bool stays_open) {
  auto& longs = envelope.longs;
  const std::int64_t since_us = longs[Envelope::kClock];
  for (std::uint32_t row : rows) {
    longs[Envelope::kClock] = std::max(longs[Envelope::kClock], events.published_us(row));
    longs[Envelope::kLastEvent] = std::max(longs[Envelope::kLastEvent], events.time_us(row));
  }
  longs[Envelope::kHorizon] = std::max(longs[Envelope::kHorizon], horizon_us);
  longs[Envelope::kApplied] += static_cast<std::int64_t>(rows.size());
  Arrivals arrivals{events, rows, longs[Envelope::kClock], longs[Envelope::kHorizon]};
  stays_.clear();
  left_out_.clear();
  for (std::size_t at = 0; at < families_.size(); ++at) {
    stays_.push_back(families_[at] && families_[at]->stays(arrivals, since_us));
    left_out_.push_back(stays_[at] || (stays_open && is_open_[at]));
  }
  read_strings(envelope, blob, [this](std::string_view strings) { strings_.read(strings); });
  read(families_, envelope, blob, strings_, left_out_);
  make(envelope, version, [&](std::size_t at, Family& family) {
    if (stays_[at]) return Section::kCopied;
    family.fold(arrivals, strings_);
    return stays_open && is_open_[at] ? Section::kBlank : Section::kPacked;
  });
}

void Folder::merge(std::string_view a, std::string_view b, std::string_view version, Buffer& out) {
  if (second_.empty()) second_ = made_for(rules_.plan);
  Envelope envelope = ready(opened(a), a, migrated_), other = ready(opened(b), b, migrated_second_);
  read_strings(envelope, a, [this](std::string_view strings) { strings_.read(strings); });
  read(families_, envelope, a, strings_);
  read_strings(other, b, [this](std::string_view strings) { strings_.read_second(strings); });
  read(second_, other, b, strings_);
  std::int64_t applied = envelope.longs[Envelope::kApplied] + other.longs[Envelope::kApplied];
  for (std::size_t at = 0; at < envelope.longs.size(); ++at) {
    envelope.longs[at] = std::max(envelope.longs[at], other.longs[at]);
  }
  envelope.longs[Envelope::kApplied] = applied;
  make(envelope, version, [&](std::size_t at, Family& family) {
    family.absorb(*second_[at], same_[at], envelope.longs[Envelope::kClock], strings_);
    return Section::kPacked;
  });
  put_record(out, envelope);
}

void Folder::migrate(std::string_view blob, Buffer& out) {
  Envelope envelope = open_record(blob);
  if (envelope.layout != rules_.plan.layout) return migrate(envelope, blob, out);
  Writer(out).bytes(blob);
}

void Folder::migrate(Envelope envelope, std::string_view blob, Buffer& out) {
  Other& from = other(envelope.layout);
  envelope.fill(from.blanks);
  read_strings(envelope, blob, [this](std::string_view strings) { strings_.read(strings); });
  read(from.families, envelope, blob, strings_);
  read(families_, blank(), {}, strings_);
  make(envelope, envelope.version, [&](std::size_t at, Family& family) {
    if (!from.families[at]) return Section::kBlank;
    family.absorb(*from.families[at], from.layout->becomes[at], envelope.longs[Envelope::kClock], strings_);
    return Section::kPacked;
  });
  put_record(out, envelope);
}

}  // namespace user_state
