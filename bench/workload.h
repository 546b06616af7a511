/* SPDX-License-Identifier: BSD-3-Clause */
/* workload.h - what the callers of a benchmark do: the table of keys by which a workload is
 * described, the dice that draw their calls, and the judge of each answer. A value's bytes follow
 * from its key alone, so whoever reads it can tell whether it is the right one, and in which size
 * it was written. Knows nothing of connections, of threads, and of the library. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#ifdef __cplusplus
extern "C" {
#endif

enum { WORKLOAD_WHY = 512, PREFIX_SIZE = 64, KEY_SIZE = PREFIX_SIZE + 16, SIZES_PARTS = 8 };
enum { BIG_KEYS = 32, CHANNELS = 8, STAMP_SIZE = 20 };

enum callers_as { AS_THREADS, AS_CALLBACKS, AS_FUTURES };

/* Sizes of values: parts, each from low to high, evenly; a part has a weight. */
struct sizes {
  int n;
  struct {
    long low, high;
    double weight, upto; /* upto: the sum of the weights up to this one, of 1 */
  } part[SIZES_PARTS];
};

struct workload {
  long keys;
  double skew; /* exponent of Zipf's law: the first key is the most frequent; 0: all alike */
  struct sizes value, big_value;
  double reads, big, transactions, batch, pushes, publishes; /* per cent */
  double rate; /* calls a second of all callers together; 0: each makes its next one at once */
  long batch_size, blocked, subscribers, big_readers, connections;
  enum callers_as callers_as;
  char prefix[PREFIX_SIZE + 1];
  /* made by workload_ready */
  struct alias *alias; /* NULL: no skew */
  char *bytes;         /* all values are parts of it */
  long longest;
};

void workload_init(struct workload *); /* the defaults */
/* text: "key=value" or "key = value". 0, or -1 with why: the key, the value, and what is valid. */
int workload_set(struct workload *, const char *text, char why[WORKLOAD_WHY]);
/* After the last workload_set: whether the keys agree with each other; and makes what the dice
 * need. 0, or -1 with why. */
int workload_ready(struct workload *, char why[WORKLOAD_WHY]);
void workload_free(struct workload *);
int workload_make(struct workload *); /* workload_ready's, for the dice; 0, or -1: out of memory */
/* A line for each key: KEY<TAB>DEFAULT<TAB>WHAT IS VALID<TAB>WHAT IT MEANS. */
void workload_print_keys(FILE *out);
const char *callers_as_name(enum callers_as);

/* ---- what callers do, one call at a time ---- */
enum kind {
  KIND_GET,
  KIND_SET,
  KIND_BIG_GET,
  KIND_BIG_SET,
  KIND_BATCH,       /* GETs and SETs */
  KIND_TRANSACTION, /* two commands: the GET after WATCH, and the SET between MULTI and EXEC */
  KIND_PUSH,
  KIND_POP, /* a consumer's, which blocks; its time is that of the element since its push */
  KIND_PUBLISH,
  KIND_MESSAGE,  /* a subscriber's; its time is the message's since it was published */
  KIND_BIG_READ, /* of who does nothing else, beside the callers */
  KINDS
};
const char *kind_name(enum kind); /* "big-get" */

struct command {
  int argc;
  const char *argv[3];
  size_t len[3];
  char key[KEY_SIZE]; /* argv[1] points to it: a command must not be moved */
  long index;         /* of the key, the list or the channel */
};

struct task {
  enum kind kind;
  int n; /* commands of it */
  struct command *commands;
  char *element; /* what is pushed or published; NULL: the workload does neither */
};
/* For one caller; its memory is made once. 0, or -1: out of memory. */
int task_init(struct task *, const struct workload *);
void task_free(struct task *);
/* Draws the next call of a caller; place: which one it is. */
void task_draw(struct task *, const struct workload *, uint64_t *dice, int place);
/* The call of a consumer: BLPOP of its list, without end. */
void task_pop(struct task *, const struct workload *, int consumer);
/* The call of a reader of big values: GET of the one that is its own. */
void task_big_read(struct task *, const struct workload *, int reader);
/* Of what is pushed or published: when it began, which begins its bytes. */
void task_stamp(struct task *, int64_t ns);

uint64_t dice_of(uint64_t seed, int place);
uint64_t dice_roll(uint64_t *dice);
double dice_share(uint64_t *dice); /* from 0 to 1, without 1 */
long workload_draw_key(const struct workload *, uint64_t *dice);
long sizes_draw(const struct sizes *, uint64_t *dice);
int sizes_contain(const struct sizes *, long size);

/* ---- names and values ---- */
enum family { FAMILY_KEY, FAMILY_BIG, FAMILY_OWN, FAMILY_LIST, FAMILY_CHANNEL };
/* PREFIX + family + index; returns its length. */
size_t workload_name(const struct workload *, enum family, long index, char buf[KEY_SIZE]);
/* Its first `size` bytes are its value. */
const char *workload_value(const struct workload *, enum family, long index);

/* ---- answers, in no library's types ---- */
enum answer_type {
  ANSWER_FAILURE, /* there is none, or an error: text says why */
  ANSWER_NIL,
  ANSWER_TEXT,   /* a string of bytes */
  ANSWER_STATUS, /* OK */
  ANSWER_NUMBER,
  ANSWER_PAIR, /* an array of two strings: text and second */
  ANSWER_OTHER
};
struct answer {
  enum answer_type type;
  const char *text, *second;
  size_t len, second_len;
  long long number;
};
enum verdict {
  VERDICT_RIGHT,
  VERDICT_FAILED, /* the call failed, and says so */
  VERDICT_WRONG   /* it says that it did not, and is not the answer to this command */
};
/* Judges the answer to the i-th command of the task; not right: why. */
enum verdict task_judge(const struct task *, const struct workload *, int i, const struct answer *,
                        char why[WORKLOAD_WHY]);
/* Of an element or a message: whether it belongs to its list or channel, and its stamp. */
int workload_element(const struct workload *, enum family, long index, const char *text, size_t len,
                     int64_t *ret_stamp);

#ifdef __cplusplus
}
#endif
#endif
