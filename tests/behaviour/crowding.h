/* SPDX-License-Identifier: BSD-3-Clause */
/* crowding.h - what the tests of a crowd's reader share: what this process's threads of that name
 * do, calls that are all under way until the test answers them one by one, and a lane whose reader
 * holds the token for them. */
#ifndef CROWDING_H
#define CROWDING_H
#include "behaviour/muxing.h"

enum { CROWD = 16, CROWD_MOST = 40 };

/* ---- threads named pmx-reader ---- */
int readers(void);
void check_readers(int);             /* waits until there are so many */
int threads_named(const char *name); /* of this process */
/* For wait_for: one of them sleeps in poll(): it has the token, and waits for bytes. */
bool reader_reads(void *none);
/* There are some, and all of them sleep on a futex. */
bool reader_is_away(void *none);
void check_reader_reads(void); /* wait for it */
void check_reader_is_away(void);
uint64_t reader_switches(void);   /* voluntary context switches of all of them */
bool is_thread(const char *name); /* the calling one has it */
/* From now on a reader to whom nothing is owed waits for an hour, not for a moment; or as ever. */
void readers_are_patient(bool);
/* A reader whose ppoll() says next time that something has come, or that its time is up, goes no
 * further until it may; but it does when that takes too long. */
enum reader_stop { STOP_NOWHERE, STOP_WOKEN, STOP_LATE };
void reader_stop_at(enum reader_stop);
void reader_stop_here(void); /* the calling one stops now */
bool reader_is_stopped(void *none);
void check_reader_is_stopped(void); /* waits for it */
void reader_go_on(void);

/* ---- a crowd that waits ---- */
/* A client of one lane whose server answers commands with key-* and odd-* when the test says so,
 * all others at once. */
struct crowd_scene {
  struct fake *fake;
  pmx_client *client;
  struct caller callers[CROWD_MOST];
  bool under_way[CROWD_MOST];
  size_t looked; /* so many of the commands seen need no answer any more */
};
int withhold(void *ud, struct fake_conn *, int argc, char **argv, size_t *len); /* its handler */
void crowd_open(struct crowd_scene *, const struct way *);                      /* retry.max=0 */
void crowd_close(struct crowd_scene *); /* nothing is under way; no reader is left afterwards */
void crowd_end(struct crowd_scene *);   /* the same of a client that was closed */
struct fake_conn *crowd_conn(struct crowd_scene *); /* the newest connection */

/* Callers 0 … n-1 ask for key-0 … key-(n-1), and the server has all of that. The first drives. */
void crowd_begin(struct crowd_scene *, int n);
/* Waits until the server has so many calls that it has not answered. */
void crowd_wait_seen(struct crowd_scene *, size_t n);
/* Answers the oldest call, and joins its caller when it is one of the crowd's; false: there is no
 * call. */
bool crowd_answer(struct crowd_scene *);
void crowd_finish(struct crowd_scene *); /* the same for all, in one piece */
/* All others of the crowd end like that; how many they were. They will not be answered. */
int crowd_fail(struct crowd_scene *, pmx_status, pmx_cause);
/* n calls are begun, the first has ended, and that holds: soon, or after some such crowds. */
void crowd_until(struct crowd_scene *, int n, bool (*condition)(void *arg), void *arg);
void crowd_read(struct crowd_scene *, int n); /* the same: and the reader reads for the others */

#endif
