/* SPDX-License-Identifier: BSD-3-Clause */
/* table.c - the option table and single values: which option a name means, what its value may be,
 * where it is kept, and what is said about a bad one. Knows nothing of URLs and of rules between
 * options. No message contains the value of a secret. */
#include "api/table.h"
#include "api/values.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/sync.h"
#include <inttypes.h>
#include <string.h>

enum kind { KIND_BOOL, KIND_INT, KIND_DURATION, KIND_SIZE, KIND_ENUM, KIND_STRING, KIND_SECRET };

#define LIVE 1
#define FIXED 0

static const struct option_row rows[] = {
#define OPTION(field, name, kind, def, min, max, names, live, help)                                \
  {name, #kind, def, names, help, min, max, live},
#include "call/options.def"
#undef OPTION
};

static const struct {
  enum kind kind;
  size_t offset;
} places[] = {
#define OPTION(field, name, kind, def, min, max, names, live, help)                                \
  {KIND_##kind, offsetof(struct config, field)},
#include "call/options.def"
#undef OPTION
};

enum { NAME_MAX_BYTES = 40, TYPO_DISTANCE = 3 };

size_t option_count(void)
{
  return OPTION_COUNT;
}

const struct option_row *option_at(size_t i)
{
  return i < OPTION_COUNT ? &rows[i] : NULL;
}

enum option_id option_find(const char *name)
{
  size_t i = 0;

  while (i < OPTION_COUNT && strcmp(rows[i].name, name) != 0)
    i++;
  return (enum option_id)i;
}

static int64_t *number_at(struct config *config, enum option_id id)
{
  return (int64_t *)(void *)((char *)config + places[id].offset);
}

static char **string_at(struct config *config, enum option_id id)
{
  return (char **)(void *)((char *)config + places[id].offset);
}

int64_t option_number(const struct config *config, enum option_id id)
{
  return *(const int64_t *)(const void *)((const char *)config + places[id].offset);
}

const char *option_string(const struct config *config, enum option_id id)
{
  return *(char *const *)(const void *)((const char *)config + places[id].offset);
}

static int has_auto(enum option_id id)
{
  return places[id].kind == KIND_INT && strcmp(rows[id].def, "auto") == 0;
}

static int64_t auto_connections(void)
{
  int64_t wanted = 4 * (int64_t)cpu_count();

  if (wanted < 8)
    return 8;
  return wanted > 64 ? 64 : wanted;
}

/* ---- what is said ---- */

static void add_names(struct text *t, const char *names)
{
  for (; *names; names++)
    text_add(t, *names == '|' ? ", " : "%c", *names);
}

static void add_range(struct text *t, enum option_id id)
{
  const struct option_row *row = &rows[id];

  switch (places[id].kind) {
  case KIND_BOOL:
    text_add(t, "yes, no, on, off, true, false, 1, 0");
    break;
  case KIND_INT:
    text_add(t, "%" PRId64 " to %" PRId64 "%s", row->min, row->max,
             has_auto(id) ? ", or auto" : "");
    break;
  case KIND_DURATION:
    text_add(t, row->min ? "" : "0 (");
    value_print_duration(t, row->min);
    text_add(t, row->min ? " to " : ") to ");
    value_print_duration(t, row->max);
    break;
  case KIND_SIZE:
    value_print_size(t, row->min);
    text_add(t, " to ");
    value_print_size(t, row->max);
    break;
  case KIND_ENUM:
    add_names(t, row->names);
    break;
  case KIND_STRING:
  case KIND_SECRET:
    text_add(t, "%" PRId64 " to %" PRId64 " bytes", row->min, row->max);
    break;
  }
}

static int refuse(enum option_id id, const char *value, const char *why, struct text *error)
{
  text_add(error, "%s: ", rows[id].name);
  if (value) {
    text_add(error, "\"");
    text_add_quoted(error, value, strlen(value), QUOTE_MAX);
    text_add(error, "\" ");
  } else {
    text_add(error, "the value ");
  }
  text_add(error, "%s; valid: ", why);
  add_range(error, id);
  return SET_INVALID;
}

static const char *reason(enum option_id id, enum value_result result)
{
  if (result == VALUE_OUT_OF_RANGE)
    return "is out of range";
  if (result == VALUE_NO_UNIT)
    return "has no unit (give one: ns, us, ms, s, min, h or d)";
  if (result == VALUE_TOO_FINE)
    return "is finer than a nanosecond";
  switch (places[id].kind) {
  case KIND_INT:
    return "is not a whole number";
  case KIND_DURATION:
    return "is not a duration (a number and ns, us, ms, s, min, h or d)";
  case KIND_SIZE:
    return "is not a size (a whole number and B, KiB, MiB, GiB, KB, MB, GB or nothing)";
  case KIND_BOOL:
  case KIND_ENUM:
  case KIND_STRING:
  case KIND_SECRET:
    break;
  }
  return "is not one of its values";
}

/* Edit distance; names that are longer than any of ours are far away. */
static size_t distance(const char *a, const char *b)
{
  size_t row[NAME_MAX_BYTES + 1], la = strlen(a), lb = strlen(b);

  if (la > NAME_MAX_BYTES || lb > NAME_MAX_BYTES)
    return NAME_MAX_BYTES;
  for (size_t j = 0; j <= lb; j++)
    row[j] = j;
  for (size_t i = 1; i <= la; i++) {
    size_t diagonal = row[0];

    row[0] = i;
    for (size_t j = 1; j <= lb; j++) {
      size_t best = diagonal + (a[i - 1] != b[j - 1]);

      diagonal = row[j];
      best = row[j] + 1 < best ? row[j] + 1 : best;
      row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
    }
  }
  return row[lb];
}

static const char *nearest(const char *name)
{
  size_t best = strlen(name) < TYPO_DISTANCE + 1 ? strlen(name) : TYPO_DISTANCE + 1;
  const char *found = NULL;

  for (size_t i = 0; i < OPTION_COUNT; i++) {
    size_t d = distance(name, rows[i].name);

    if (d < best) {
      best = d;
      found = rows[i].name;
    }
  }
  return found;
}

/* A name like "password=…" or "passwordHunter2" is a slip that would put the secret on display. */
void option_add_unknown(struct text *t, const char *name, int show)
{
  const char *near = nearest(name);

  text_add(t, "unknown option");
  if (show && !strcasestr(name, "pass")) {
    text_add(t, " \"");
    text_add_quoted(t, name, strlen(name), QUOTE_MAX);
    text_add(t, "\"");
  }
  if (near)
    text_add(t, "; did you mean \"%s\"?", near);
  else
    text_add(t, "; see poolmux-options(7)");
}

/* ---- values ---- */

static int apply_string(struct config *config, enum option_id id, const char *value,
                        struct text *error)
{
  char **at = string_at(config, id);
  char *copy = mem_strdup(value);

  if (!copy) {
    text_add(error, "%s: out of memory", rows[id].name);
    return SET_NOMEM;
  }
  if (*at && places[id].kind == KIND_SECRET)
    mem_wipe(*at, strlen(*at));
  mem_free(*at);
  *at = copy;
  return SET_OK;
}

static enum value_result parse(enum option_id id, const char *value, int64_t *ret)
{
  switch (places[id].kind) {
  case KIND_BOOL:
    return value_parse_bool(value, ret);
  case KIND_INT:
    if (has_auto(id) && strcmp(value, "auto") == 0) {
      *ret = auto_connections();
      return VALUE_OK;
    }
    return value_parse_int(value, ret);
  case KIND_DURATION:
    return value_parse_duration(value, ret);
  case KIND_SIZE:
    return value_parse_size(value, ret);
  case KIND_ENUM:
    return value_parse_enum(value, rows[id].names, ret);
  case KIND_STRING:
  case KIND_SECRET:
    *ret = (int64_t)strlen(value);
    break;
  }
  return VALUE_OK;
}

int option_apply(struct config *config, enum option_id id, const char *value, int show,
                 struct text *error)
{
  int is_text = places[id].kind == KIND_STRING || places[id].kind == KIND_SECRET;
  const char *shown = show && places[id].kind != KIND_SECRET ? value : NULL;
  enum value_result result;
  int64_t number = 0;

  if (!value)
    return refuse(id, NULL, "is missing (NULL)", error);
  result = parse(id, value, &number);
  if (result != VALUE_OK)
    return refuse(id, shown, reason(id, result), error);
  if (is_text && number < rows[id].min)
    return refuse(id, NULL, "is too short", error);
  if (is_text && number > rows[id].max)
    return refuse(id, shown, "is too long", error);
  if (number < rows[id].min || number > rows[id].max)
    return refuse(id, shown, "is out of range", error);
  if (is_text)
    return apply_string(config, id, value, error);
  *number_at(config, id) = number;
  return SET_OK;
}

void option_print(struct text *t, const struct config *config, enum option_id id)
{
  const struct option_row *row = &rows[id];

  switch (places[id].kind) {
  case KIND_BOOL:
    text_add(t, "%s", option_number(config, id) ? "yes" : "no");
    break;
  case KIND_INT:
    text_add(t, "%" PRId64, option_number(config, id));
    break;
  case KIND_DURATION:
    value_print_duration(t, option_number(config, id));
    break;
  case KIND_SIZE:
    value_print_size(t, option_number(config, id));
    break;
  case KIND_ENUM:
    value_print_enum(t, row->names, option_number(config, id));
    break;
  case KIND_STRING:
    text_add(t, "%s", option_string(config, id));
    break;
  case KIND_SECRET:
    break;
  }
}
