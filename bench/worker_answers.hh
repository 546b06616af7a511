// SPDX-License-Identifier: BSD-3-Clause
// worker_answers.hh - for workers in C++: answers from strings and numbers, and a wall between
// exceptions and the frame, which is C.
#ifndef BENCH_WORKER_ANSWERS_HH
#define BENCH_WORKER_ANSWERS_HH
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "worker.h"

inline void answer_text(call *c, int i, answer_type type, std::string_view text)
{
  answer a{};

  a.type = type;
  a.text = text.data();
  a.len = text.size();
  call_answer(c, i, &a);
}

inline void answer_value(call *c, int i, const std::optional<std::string> &value)
{
  if (value)
    answer_text(c, i, ANSWER_TEXT, *value);
  else
    answer_text(c, i, ANSWER_NIL, {});
}

// What SET came to: OK, or anything else.
inline void answer_set(call *c, int i, bool done)
{
  answer_text(c, i, done ? ANSWER_STATUS : ANSWER_OTHER, {});
}

inline void answer_number(call *c, int i, long long number)
{
  answer a{};

  a.type = ANSWER_NUMBER;
  a.number = number;
  call_answer(c, i, &a);
}

inline void answer_pair(call *c, int i, std::string_view first, std::string_view second)
{
  answer a{};

  a.type = ANSWER_PAIR;
  a.text = first.data();
  a.len = first.size();
  a.second = second.data();
  a.second_len = second.size();
  call_answer(c, i, &a);
}

inline std::string_view argument(const command &c, int i)
{
  return {c.argv[i], c.len[i]};
}

// Of a way's open: NULL, and why, when it throws.
template <class Open> void *open_or_why(char *why, Open open)
{
  try {
    return open();
  } catch (const std::exception &e) {
    std::snprintf(why, WHY_SIZE, "%s", e.what());
    return nullptr;
  }
}
#endif
