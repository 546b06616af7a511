/* SPDX-License-Identifier: BSD-3-Clause */
/* crowding.h - what the tests of a crowd share: what its threads do, how often they give way, and
 * calls that are all under way until the test answers them one by one. */
#ifndef CROWDING_H
#define CROWDING_H
#include "behaviour/muxing.h"

enum { CROWD = 16, CROWD_LEAST = 4, CROWD_MOST = 40 };

/* ---- threads: what the library does in their place is looked up in /proc ---- */
int threads_named(const char *name); /* of this process */
bool is_thread(const char *name);    /* the calling one has it */
/* From now on the threads that this one starts are the crowd, or none of it. */
void crowd_name(bool on);
/* For wait_for: one of the crowd sleeps in poll(): it drives, and waits for bytes. All others are
 * parked, this thread excepted. */
bool crowd_is_driven(void *none);
void check_crowd_is_driven(void); /* waits for it */

/* ---- giving way: sched_yield() is counted ---- */
unsigned turns(void); /* so often was it called */
/* On: whoever calls it from now on stays there until it is off; but not for ever. */
void turns_hold(bool on);
int turns_held(void); /* so many do */
/* On: who calls it is back at once. Else a busy machine makes him late, and the crowd ceases to
 * give way for a while. */
void turns_brief(bool on);

/* ---- stopping: poll() and ppoll() ---- */
/* The next one of the crowd who is told there that something has come is stopped: then, or behind
 * so many locks of those that it drops afterwards. But not for ever. */
void driver_stop_at(int locks);
void driver_note_unlock(void); /* by who replaces pthread_mutex_unlock() */
void check_driver_is_stopped(void);
void driver_go_on(void);

/* ---- a crowd that waits ---- */
/* A client of one lane whose server answers commands with key-* and odd-* when the test says so,
 * all others at once. */
struct crowd_scene {
  struct fake *fake;
  pmx_client *client;
  struct caller callers[CROWD_MOST];
  bool under_way[CROWD_MOST];
  bool known;    /* the lane knows what a crowd is */
  size_t looked; /* so many of the commands seen need no answer any more */
};
int withhold(void *ud, struct fake_conn *, int argc, char **argv, size_t *len); /* its handler */
void crowd_open(struct crowd_scene *, const struct way *);                      /* retry.max=0 */
void crowd_open_io(struct crowd_scene *, const struct way *, const char *io);
void crowd_close(struct crowd_scene *);             /* nothing is under way */
void crowd_end(struct crowd_scene *);               /* the same of a client that was closed */
struct fake_conn *crowd_conn(struct crowd_scene *); /* the newest connection */

/* Callers 0 … n-1 ask for key-0 … key-(n-1), and the server has all of that. */
void crowd_begin(struct crowd_scene *, int n);
/* Waits until the server has so many calls that it has not answered. */
void crowd_wait_seen(struct crowd_scene *, size_t n);
/* Answers the oldest call, and joins its caller when it is one of the crowd's; false: there is no
 * call. */
bool crowd_answer(struct crowd_scene *);
void crowd_finish(struct crowd_scene *); /* the same for all, in one piece */
/* All others of the crowd end like that; how many they were. They will not be answered. */
int crowd_fail(struct crowd_scene *, pmx_status, pmx_cause);
/* n calls are begun and the first has ended: another caller drives, all others sleep. The first
 * time of a scene it is checked that they have given way, for which there must be CROWD_LEAST of
 * them. */
void crowd_gather(struct crowd_scene *, int n);

#endif
