/* SPDX-License-Identifier: BSD-3-Clause */
/* wait.h - the one place where a thread of the application waits. */
#ifndef PMX_LINK_WAIT_H
#define PMX_LINK_WAIT_H
#include "call/cancel.h"
#include "call/request.h"
#include "link/link.h"

enum wait_result {
  WAIT_ENDED,    /* the request has ended */
  WAIT_TIMEOUT,  /* its deadline, or the end of its queueing time, has passed */
  WAIT_CANCELED, /* the token was fired */
  WAIT_NOMEM     /* there is no memory to wait with */
};

/* Waits for a submitted request: sleeps while it is QUEUED, drives its link once it is ASSIGNED; on
 * a lane does what lane_wait says. After anything but ENDED the caller must cancel the request at
 * its strategy, and wait again should the strategy have let it be. Thread: the issuer's. Locks:
 * none. */
enum wait_result wait_until(struct request *, struct link_env *, pmx_cancel *);
/* Lets time pass until `until`, or until the token is fired. TIMEOUT: it passed. CANCELED:
 * also when memory is out. */
enum wait_result wait_pause(struct link_env *, int64_t until, pmx_cancel *);

#endif
