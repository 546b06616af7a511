/* SPDX-License-Identifier: BSD-3-Clause */
/* workload.c - the keys by which a workload is described: their names, defaults and limits, and how
 * they are read. What is refused is told with the key, the value, and what is valid. */
#include "workload.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_KEYS = 10000000, LARGEST = 64 << 20, TEXT_SIZE = 256 };
enum form { COUNT, REAL, SIZES, CALLERS, PREFIX };

struct key {
  const char *name, *fallback, *valid, *meaning;
  enum form form;
  size_t at; /* in struct workload */
  double low, high;
};

#define AT(member) offsetof(struct workload, member)
#define PER_CENT "0 to 100"
#define SIZES_VALID                                                                                \
  "SIZE, SIZE-SIZE, or a list SIZE:WEIGHT,...; a size is 1 to 64MiB, with or without KiB or MiB"

static const struct key table[] = {
    {"keys", "10000", "1 to 10000000", "how many keys there are", COUNT, AT(keys), 1, MOST_KEYS},
    {"skew", "0", "0 to 2", "exponent of Zipf's law for keys; 0: all are alike", REAL, AT(skew), 0,
     2},
    {"value", "64", SIZES_VALID, "bytes of a value", SIZES, AT(value), 1, LARGEST},
    {"reads", "50", PER_CENT, "per cent of GET and SET that are GET", REAL, AT(reads), 0, 100},
    {"callers_as", "threads", "threads, callbacks or futures",
     "what callers are, where a contestant has the choice", CALLERS, AT(callers_as), 0, 0},
    {"rate", "0", "0 to 10000000",
     "calls a second of all callers together, begun when they are due; 0: as fast as they can",
     REAL, AT(rate), 0, 1e7},
    {"big", "0", PER_CENT, "per cent of calls that are GET and SET of big values", REAL, AT(big), 0,
     100},
    {"big_value", "256KiB-1MiB", SIZES_VALID, "bytes of a big value", SIZES, AT(big_value), 1,
     LARGEST},
    {"transactions", "0", PER_CENT, "per cent of calls that are WATCH, GET, MULTI, SET, EXEC", REAL,
     AT(transactions), 0, 100},
    {"batch", "0", PER_CENT, "per cent of calls that are batches of GET and SET", REAL, AT(batch),
     0, 100},
    {"batch_size", "100", "1 to 10000", "commands of a batch", COUNT, AT(batch_size), 1, 10000},
    {"blocked", "0", "0 to 1000", "consumers, each blocked in BLPOP of a list of its own", COUNT,
     AT(blocked), 0, 1000},
    {"pushes", "0", PER_CENT, "per cent of calls that are RPUSH to consumers", REAL, AT(pushes), 0,
     100},
    {"subscribers", "0", "0 to 1000", "subscribers, each of one of 8 channels", COUNT,
     AT(subscribers), 0, 1000},
    {"publishes", "0", PER_CENT, "per cent of calls that are PUBLISH to subscribers", REAL,
     AT(publishes), 0, 100},
    {"big_readers", "0", "0 to 1000",
     "callers beside the others, each of which reads a big value of its own over and over", COUNT,
     AT(big_readers), 0, 1000},
    {"connections", "0", "0 to 4096",
     "how many connections a pool may have for callers; 0: what is usual, for poolmux one for each",
     COUNT, AT(connections), 0, 4096},
    {"prefix", "poolmux-bench:", "1 to 64 bytes without blanks", "what all keys begin with", PREFIX,
     AT(prefix), 0, 0},
};
enum { KEYS = sizeof table / sizeof *table };

static const char *const as_names[] = {"threads", "callbacks", "futures"};

const char *callers_as_name(enum callers_as as)
{
  return as_names[as];
}

void workload_print_keys(FILE *out)
{
  for (size_t i = 0; i < KEYS; i++)
    fprintf(out, "%s\t%s\t%s\t%s\n", table[i].name, table[i].fallback, table[i].valid,
            table[i].meaning);
}

/* ---- values of keys: each returns 1, or 0 when the text is not valid ---- */

/* A number at the beginning of the text, and where it ends; not "inf", " 1", "0x1", "1e3". */
static int read_number(const char *text, double *ret, const char **end)
{
  size_t len = strspn(text, "0123456789.");
  char digits[32], *stop;

  if (len == 0 || len >= sizeof digits)
    return 0;
  memcpy(digits, text, len);
  digits[len] = '\0';
  *ret = strtod(digits, &stop);
  *end = text + len;
  return *stop == '\0';
}

static int read_real(const char *text, double low, double high, double *ret)
{
  const char *end;
  double n;

  if (!read_number(text, &n, &end) || *end || n < low || n > high)
    return 0;
  *ret = n;
  return 1;
}

static int read_count(const char *text, double low, double high, long *ret)
{
  double n;

  if (strchr(text, '.') || !read_real(text, low, high, &n))
    return 0;
  *ret = (long)n;
  return 1;
}

static int read_size(const char **text, long *ret)
{
  static const struct unit {
    const char *name;
    double bytes;
  } units[] = {{"KiB", 1024}, {"MiB", 1024 * 1024}};
  const char *end;
  double n;

  if (!read_number(*text, &n, &end))
    return 0;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    if (strncasecmp(end, units[i].name, 3) == 0) {
      n *= units[i].bytes;
      end += 3;
      break;
    }
  }
  *ret = (long)n;
  *text = end;
  return n >= 1 && n <= LARGEST && n == (double)*ret;
}

/* SIZE, SIZE-SIZE, each with :WEIGHT or without, up to a comma or the end. */
static int read_part(const char **text, struct sizes *sizes)
{
  int i = sizes->n++;

  sizes->part[i].weight = 1;
  if (!read_size(text, &sizes->part[i].low))
    return 0;
  sizes->part[i].high = sizes->part[i].low;
  if (**text == '-') {
    ++*text;
    if (!read_size(text, &sizes->part[i].high))
      return 0;
  }
  if (**text == ':') {
    ++*text;
    if (!read_number(*text, &sizes->part[i].weight, text))
      return 0;
  }
  return sizes->part[i].low <= sizes->part[i].high;
}

static int read_sizes(const char *text, struct sizes *ret)
{
  struct sizes sizes = {.n = 0};
  double sum = 0, upto = 0;

  do {
    if (sizes.n == SIZES_PARTS || !read_part(&text, &sizes))
      return 0;
  } while (*text++ == ',');
  if (text[-1] != '\0')
    return 0;
  for (int i = 0; i < sizes.n; i++)
    sum += sizes.part[i].weight;
  if (!(sum > 0))
    return 0;
  for (int i = 0; i < sizes.n; i++) {
    upto += sizes.part[i].weight / sum;
    sizes.part[i].upto = upto;
  }
  *ret = sizes;
  return 1;
}

static int read_callers(const char *text, enum callers_as *ret)
{
  for (size_t i = 0; i < sizeof as_names / sizeof *as_names; i++) {
    if (strcmp(text, as_names[i]) == 0) {
      *ret = (enum callers_as)i;
      return 1;
    }
  }
  return 0;
}

static int read_prefix(const char *text, char ret[PREFIX_SIZE + 1])
{
  size_t len = strlen(text);

  for (size_t i = 0; i < len; i++) {
    if ((unsigned char)text[i] <= ' ' || text[i] == 127)
      return 0;
  }
  if (len < 1 || len > PREFIX_SIZE)
    return 0;
  memcpy(ret, text, len + 1);
  return 1;
}

static int set_one(struct workload *w, const struct key *key, const char *text)
{
  void *at = (char *)w + key->at;

  switch (key->form) {
  case COUNT:
    return read_count(text, key->low, key->high, at);
  case REAL:
    return read_real(text, key->low, key->high, at);
  case SIZES:
    return read_sizes(text, at);
  case CALLERS:
    return read_callers(text, at);
  case PREFIX:
    return read_prefix(text, at);
  }
  return 0;
}

/* ---- settings ---- */

void workload_init(struct workload *w)
{
  memset(w, 0, sizeof *w);
  for (size_t i = 0; i < KEYS; i++)
    set_one(w, &table[i], table[i].fallback);
}

static int unknown(const char *name, char why[WORKLOAD_WHY])
{
  int n = snprintf(why, WORKLOAD_WHY, "%.80s: there is no such key; there are", name);

  for (size_t i = 0; i < KEYS && n < WORKLOAD_WHY; i++)
    n += snprintf(why + n, WORKLOAD_WHY - (size_t)n, "%s %s", i ? "," : "", table[i].name);
  return -1;
}

/* Without blanks at both ends. 0, or -1: too long. */
static int copy_word(const char *from, size_t len, char ret[TEXT_SIZE])
{
  while (len > 0 && strchr(" \t\r\n", from[0])) {
    from++;
    len--;
  }
  while (len > 0 && strchr(" \t\r\n", from[len - 1]))
    len--;
  if (len >= TEXT_SIZE)
    return -1;
  memcpy(ret, from, len);
  ret[len] = '\0';
  return 0;
}

int workload_set(struct workload *w, const char *text, char why[WORKLOAD_WHY])
{
  const char *sign = strchr(text, '=');
  char name[TEXT_SIZE], value[TEXT_SIZE];

  if (!sign || copy_word(text, (size_t)(sign - text), name) != 0 ||
      copy_word(sign + 1, strlen(sign + 1), value) != 0) {
    snprintf(why, WORKLOAD_WHY, "\"%.80s\": not of the form key=value", text);
    return -1;
  }
  for (size_t i = 0; i < KEYS; i++) {
    if (strcmp(name, table[i].name) != 0)
      continue;
    if (set_one(w, &table[i], value))
      return 0;
    snprintf(why, WORKLOAD_WHY, "%s=%.80s: not valid; %s is %s", name, value, table[i].name,
             table[i].valid);
    return -1;
  }
  return unknown(name, why);
}

/* What each key for itself cannot know. */
static const char *contradiction(const struct workload *w)
{
  if (w->big + w->transactions + w->batch + w->pushes + w->publishes > 100)
    return "big, transactions, batch, pushes and publishes are more than 100 per cent together";
  if (w->pushes > 0 && w->blocked == 0)
    return "pushes needs somebody who takes them: blocked is 0; valid is 1 to 1000";
  if (w->publishes > 0 && w->subscribers == 0)
    return "publishes needs somebody who listens: subscribers is 0; valid is 1 to 1000";
  return NULL;
}

int workload_ready(struct workload *w, char why[WORKLOAD_WHY])
{
  const char *wrong = contradiction(w);

  if (wrong)
    snprintf(why, WORKLOAD_WHY, "%s", wrong);
  else if (workload_make(w) != 0)
    snprintf(why, WORKLOAD_WHY, "out of memory");
  else
    return 0;
  return -1;
}
