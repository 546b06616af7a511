/* SPDX-License-Identifier: BSD-3-Clause */
/* lane_io.h - between lane*.c. All with the lane's lock held. */
#ifndef PMX_LINK_LANE_IO_H
#define PMX_LINK_LANE_IO_H
#include "link/lane.h"

/* lane_io.c */
int lane_writable(const struct lane *); /* 1: something queued may be written now */
/* Writes what is queued, unless somebody does already. For the holder of the token. Drops the lock
 * meanwhile. */
void lane_flush(struct lane *);
/* The same for others, as long as it sleeps or is open. */
void lane_write_for_holder(struct lane *);
/* Reads what is there, and ends what it answers. For the holder of the token. Drops the lock. */
void lane_receive(struct lane *);
/* The same before the first write after a while: what is half there has been so for as long. */
void lane_look_first(struct lane *);
/* One round, without waiting, of somebody who does not wait himself. Drops the lock meanwhile. */
void lane_turn(struct lane *, unsigned events);
/* 1: nobody has read from it for a while: to be done before anything is written. */
int lane_unseen(const struct lane *, int64_t now);

/* lane_look.c. Thread: reactor. Locks: none */
void lane_look_job(struct job *);
void lane_look_io(struct source *, unsigned events);

/* lane_end.c */
/* What was never sent goes back to the head of the queue, in its order, if it may wait on. */
void lane_sort_out_ended(struct lane *, int may_wait_on);
void lane_end_if_last(struct lane *);

/* lane.c */
void lane_not_coming(struct lane *, struct request *); /* it does not look at the lane any more */
void lane_dequeue(struct lane *, struct request *);
void lane_requeue(struct lane *, struct list *after, struct request *);
void lane_finish(struct lane *, struct request *, pmx_reply *);

#endif
