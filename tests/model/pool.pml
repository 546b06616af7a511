/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.pml - the pool's way of handing connections to those who wait: submit, wait, time-out,
 * cancel, return, dial, close. A model of who does what in which order, not of bytes and clocks;
 * functions have the names they have in the code. README.md says what is left out.
 *
 * Sizes and what callers do (-D): CALLERS REQUESTS SLOTS CONCURRENCY, DEADLINES LEASES TOKENS (masks of
 * callers), CHECKS, REPAIRS, EVICT, CLOSE_EARLY (0 or 1), FAULTS (how many; none = any number).
 * Mutants (-DBREAK_…): each removes one rule, and spin must notice. */
#ifndef CALLERS
#define CALLERS 3
#endif
#ifndef REQUESTS
#define REQUESTS 1
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef CONCURRENCY
#define CONCURRENCY 2
#endif
#ifndef DEADLINES
#define DEADLINES 2
#endif
#ifndef TOKENS
#define TOKENS 1
#endif
#ifndef LEASES
#define LEASES 4
#endif
#ifndef CHECKS
#define CHECKS 0
#endif
#ifndef REPAIRS
#define REPAIRS 0
#endif
#ifndef EVICT
#define EVICT 0
#endif
#ifndef CLOSE_EARLY
#define CLOSE_EARLY 1
#endif

#define NONE SLOTS
#define CLOSER CALLERS /* its parker */
#define BIT(n) (1 << (n))
#define HAS(mask, n) (((mask) >> (n)) & 1)

mtype = { NEW, QUEUED, ASSIGNED, SENT, ENDED };                            /* call/request.h */
mtype = { FREE, CONNECTING, IDLE, IN_USE, CHECKING, REPAIRING, CLOSING }; /* strategy/pool.h */

/* ---- requests: one at a time for each caller ---- */
mtype req[CALLERS] = ENDED;
byte link[CALLERS] = NONE;
bool lease[CALLERS];    /* kind = REQUEST_LEASE */
bool parker[CALLERS];   /* it has one: since its first enqueue() */
bool canceled[CALLERS]; /* struct waiter, link/wait.c */
bool firing;            /* the token's lock is held */

/* A parker's word counts its wakes; its owner sleeps only while the word is still the ticket. There is
 * one owner, so all that can be observed is whether the word is still its ticket; without a ticket,
 * nothing. */
#define NO_TICKET 0
#define TICKET 1
#define WOKEN 2
byte word[CALLERS + 1];
#define wake(c) word[c] = (word[c] == TICKET -> WOKEN : word[c])

/* ---- the pool: all under its lock ---- */
bool locked;
byte queue[CALLERS], queued; /* p->waiters */
byte waiting;                /* p->waiting */
mtype slot[SLOTS] = FREE;
bool fresh[SLOTS], leased[SLOTS], busy[SLOTS];
bool dead[SLOTS];  /* link_dead() */
bool rusty[SLOTS]; /* wants_ping(), decided when it becomes idle */
bool draining, watched, drained; /* pool_drain; a REQUEST_DRAIN waits; it has ended */
bool failures, backing_off, suspect; /* backing_off: now < p->next_dial */
byte closing, wakes; /* noted for pool_leave: slots, parkers */
bool poke;

/* ---- the reactor ---- */
bool job[SLOTS];     /* reactor_post */
bool running[SLOTS]; /* the task is on its way */
bool timer;          /* the ticker is due some time */
bool ticking;        /* its due time was taken, the tick comes now */
bool poked;          /* the poller's eventfd */
bool kicked[SLOTS];  /* the transport's eventfd */

/* ---- ghosts: only for the properties ---- */
byte user[SLOTS];      /* 1 + who may drive the link */
bool over[CALLERS];    /* it was ended */
bool served[CALLERS];  /* it was given a connection before */
byte older[CALLERS];   /* who was here before it and had not sent anything */
byte finished;         /* callers */
byte faults;

#ifdef FAULTS
#define may_fail (faults < FAULTS)
#define fail_once faults++
#else
#define may_fail true
#define fail_once skip
#endif

/* Scratch: dead outside of one indivisible step. */
hidden byte i, k, n, head, n_free, n_connecting, n_idle, n_coming, n_in_use, n_closing, n_checking, n_ready;
hidden byte was_queued, stop;

inline count_slots()
{
  n_free = 0; n_connecting = 0; n_idle = 0; n_coming = 0; n_in_use = 0; n_closing = 0;
  n_checking = 0; n_ready = 0;
  for (i : 0 .. SLOTS - 1) {
    if
    :: slot[i] == FREE -> n_free++
    :: slot[i] == CONNECTING -> n_connecting++; n_coming++
    :: slot[i] == IDLE -> n_idle++; n_ready = n_ready + (1 - rusty[i])
    :: slot[i] == IN_USE -> n_in_use++
    :: slot[i] == CHECKING -> n_checking++; n_coming++
    :: slot[i] == REPAIRING -> n_coming++
    :: slot[i] == CLOSING -> n_closing++
    fi
  }
  i = 0
}

/* ---- the queue ---- */

inline queue_push_back(c)
{
  queue[queued] = c;
  queued++
}

inline queue_push_front(c)
{
  k = queued;
  do
  :: k > 0 -> queue[k] = queue[k - 1]; k--
  :: else -> break
  od;
  queue[0] = c;
  queued++
}

inline queue_remove(c)
{
  k = 0;
  do
  :: k < queued && queue[k] != c -> k++
  :: else -> break
  od;
  assert(k < queued); /* a request is taken off once */
  do
  :: k + 1 < queued -> queue[k] = queue[k + 1]; k++
  :: else -> break
  od;
  queued--;
  queue[queued] = 0;
  k = 0
}

/* ---- two mutants: states that are stored when the lock was dropped, before or after the wake ---- */
byte late;
inline store_late(c)
{
  if
  :: HAS(late, c) -> late = late & ~BIT(c); req[c] = (over[c] -> ENDED : ASSIGNED)
  :: else
  fi
}
#ifdef BREAK_END_OUTSIDE_LOCK
#define store_ended(c) late = late | BIT(c); wakes = wakes | BIT(c)
#define before_wake(c) store_late(c)
#else
#define store_ended(c) req[c] = ENDED
#define before_wake(c) skip
#endif
#ifdef BREAK_WAKE_BEFORE_STATE
#define store_assigned(c) late = late | BIT(c)
#define after_wakes() d_step { store_late(0); store_late(1) }
#else
#define store_assigned(c) req[c] = ASSIGNED
#define after_wakes() skip
#endif

/* ---- pool_requests.c: pool_end, pool_assign, enqueue ---- */

/* Under the lock: its issuer, who may give it up just now, finds it either QUEUED or ENDED. */
inline pool_end(c)
{
  assert(!over[c]); /* one outcome (P2) */
  over[c] = true;
  if
  :: req[c] == QUEUED -> waiting--; queue_remove(c)
  :: else
  fi;
  store_ended(c);
  if
  :: parker[c] -> wakes = wakes | BIT(c)
  :: else
  fi
}

/* I7: nobody who came later is served while an older one waits. Two that were given closed connections
 * at the same time may change places with each other (STRICT_FIFO shows it). */
inline check_order(c)
{
  for (k : 0 .. CALLERS - 1) {
#ifdef STRICT_FIFO
    assert(!(HAS(older[c], k) && req[k] == QUEUED))
#else
    assert(!(HAS(older[c], k) && req[k] == QUEUED) || (served[k] && served[c]))
#endif
  }
  k = 0
}

inline pool_assign(s, c)
{
  assert(user[s] == 0); /* a slot has one owner */
  was_queued = (req[c] == QUEUED);
  if
  :: was_queued -> waiting--; queue_remove(c)
  :: else
  fi;
  check_order(c);
  served[c] = true;
  user[s] = c + 1;
  slot[s] = IN_USE;
  leased[s] = lease[c];
  busy[s] = true;
  link[c] = s;
  if
  :: was_queued -> store_assigned(c); wakes = wakes | BIT(c)
  :: else -> req[c] = ASSIGNED
  fi
}

/* ---- pool_slots.c ---- */

inline slot_start(s, st)
{
  slot[s] = st;
  job[s] = true;
  poke = true
}

inline slot_retire(s)
{
  slot[s] = CLOSING;
  user[s] = 0; leased[s] = false; busy[s] = false; fresh[s] = false; rusty[s] = false;
  closing = closing | BIT(s)
}

inline slot_gone(s)
{
  assert(user[s] == 0 && !job[s] && !running[s]);
  slot[s] = FREE;
  dead[s] = false;
  kicked[s] = false
}

inline serve_waiters()
{
  stop = false;
  do
  :: queued == 0 || stop -> break
  :: else ->
    count_slots();
    n = 0;
    do
    :: n < SLOTS && slot[n] != IDLE -> n++
    :: else -> break
    od;
    if
    :: n == SLOTS -> stop = true
    :: n < SLOTS && rusty[n] && !suspect && n_checking >= waiting -> stop = true
    :: n < SLOTS && rusty[n] && (suspect || n_checking < waiting) ->
      rusty[n] = false;
      slot_start(n, CHECKING)
    :: n < SLOTS && !rusty[n] -> head = queue[0]; pool_assign(n, head)
    fi
  od
}

/* later: the clock says that the backoff is over. */
inline start_dials(later)
{
  count_slots();
  n = 0;
  if
  :: waiting > n_idle + n_coming -> n = waiting - (n_idle + n_coming) /* dials_wanted */
  :: else
  fi;
  if
  :: n > 0 && backing_off && !later ->
#ifndef BREAK_NO_TIMER
    if /* pool_watch_clock */
    :: !timer -> timer = true; poke = true
    :: else
    fi
#else
    skip
#endif
  :: n > 0 && (!backing_off || later) ->
    backing_off = false;
    do /* dials_allowed */
    :: n > 0 && n_free > 0 && n_connecting < (failures -> 1 : CONCURRENCY) ->
      i = 0;
      do
      :: slot[i] != FREE -> i++
      :: else -> break
      od;
      assert(user[i] == 0 && !job[i] && !running[i]);
      slot_start(i, CONNECTING);
      i = 0;
      n--; n_free--; n_connecting++
    :: else -> break
    od
  :: n == 0
  fi
}

inline serve_watchers()
{
  count_slots();
  if
  :: watched && draining && n_free == SLOTS ->
    watched = false;
    drained = true;
    wakes = wakes | BIT(CLOSER)
  :: else
  fi
}

inline pool_pump(later)
{
  serve_waiters();
  if
  :: !draining -> start_dials(later)
  :: else
  fi;
  serve_watchers()
}

/* fate: 0 as good as new, 1 dirty beyond repair or expired, 2 can be repaired. Also ready(). */
inline pool_put(s, fate, will_rust)
{
  user[s] = 0; leased[s] = false; busy[s] = false;
  if
  :: draining || fate == 1 -> slot_retire(s)
  :: !draining && fate == 2 -> slot_start(s, REPAIRING)
  :: !draining && fate == 0 ->
    if
    :: queued > 0 -> head = queue[0]; pool_assign(s, head)
    :: else -> slot[s] = IDLE; fresh[s] = false; rusty[s] = will_rust
    fi
  fi
}

/* ---- pool_tasks.c: pool_dial_failed, fail_waiters. all: offline=fail, or a permanent cause ---- */

inline pool_dial_failed(all)
{
  failures = true;
  backing_off = true;
  count_slots();
  if
  :: n_idle + n_in_use + n_coming - n_connecting == 0 && all ->
    do
    :: queued > 0 -> head = queue[0]; pool_end(head)
    :: else -> break
    od
  :: else
  fi
}

/* The clock may have passed next_dial. */
inline look_at_clock()
{
  if
  :: backing_off -> later = true
  :: later = false
  fi
}

/* ---- pool.c: leaving. The lock is dropped here ---- */

/* What holds whenever somebody leaves the lock. */
inline check_invariants()
{
  count_slots();
  assert(waiting == queued);
  if
  :: queued > 0 ->
    assert(!draining); /* I14 */
    assert(n_ready == 0 || (n_checking >= waiting)); /* I2: not beside an idle connection … */
    assert(n_free == 0 || n_coming > 0 || timer || ticking); /* … nor beside a free slot (I8) */
    assert(n_in_use + n_coming + n_closing > 0 || timer || ticking) /* I9 */
  :: else
  fi
}

/* The end of each step under the lock: drops it. Locals of each process: shut, mine, poking, later. */
inline unlock()
{
  if
  :: closing != 0 -> shut = closing; closing = 0
  :: else ->
    check_invariants();
    mine = wakes; wakes = 0;
    poking = poke; poke = false
  fi;
  locked = false
}

/* Closes what was noted, then wakes whom was noted, without the lock. The wakes are one step: nobody
 * can tell a late one from one that comes later still. */
inline pool_leave()
{
  if
  :: shut == 0 && mine == 0 && !poking
  :: else ->
    do
    :: shut == 0 -> break
    :: atomic { shut != 0 && !locked -> /* close_noted */
        look_at_clock();
        d_step {
          for (i : 0 .. SLOTS - 1) {
            if
            :: HAS(shut, i) -> slot_gone(i)
            :: else
            fi
          }
          shut = 0;
#ifndef BREAK_NO_PUMP
          pool_pump(later);
#else
          serve_watchers();
#endif
          later = false;
          unlock()
        }
      }
    od;
    if
    :: atomic {
      mine != 0 || poking -> /* wake_noted */
      d_step {
      for (i : 0 .. CALLERS) {
        if
        :: HAS(mine, i) -> before_wake(i); wake(i)
        :: else
        fi
      }
      i = 0;
      mine = 0;
      poked = poked || poking; /* reactor_wake */
      poking = false
      }
    }
    :: else
    fi;
    after_wakes()
  fi
}

#define LOCALS byte shut, mine; bool poking, later
#define LOCK !locked -> locked = true

/* What a connection that comes back may be like. */
inline choose_fate()
{
  if
  :: fate = 0
  :: EVICT && may_fail -> fate = 1; fail_once
  :: REPAIRS && may_fail -> fate = 2; fail_once
  fi;
  if
  :: rust = false
  :: CHECKS && fate == 0 -> rust = true
  fi
}

/* ---- a caller: api/call.c call_wait, link/wait.c, link/link.c ---- */

proctype caller(byte me)
{
  LOCALS;
  byte left = REQUESTS, fate, link_of_lease = NONE;
  bool rust, all, stale, silent, again, won;
  mtype was = NEW;

submit: /* pool_submit */
  atomic {
    LOCK;
    left--;
    if
    :: lease[me] = false
    :: HAS(LEASES, me) -> lease[me] = true
    fi;
    look_at_clock();
    d_step {
      req[me] = NEW;
      over[me] = false; served[me] = false; older[me] = 0;
      for (i : 0 .. CALLERS - 1) {
        older[i] = older[i] & ~BIT(me);
        if
        :: req[i] == QUEUED || req[i] == ASSIGNED -> older[me] = older[me] | BIT(i)
        :: else
        fi
      }
      n = 0;
      do
      :: n < SLOTS && !(slot[n] == IDLE && !rusty[n]) -> n++
      :: else -> break
      od;
      if
      :: draining -> pool_end(me)
      :: !draining && waiting == 0 && n < SLOTS -> pool_assign(n, me) /* pool_take */
      :: !draining && !(waiting == 0 && n < SLOTS) -> /* submit_waiting, enqueue */
        parker[me] = true;
        req[me] = QUEUED;
        queue_push_back(me);
        waiting++;
        pool_pump(later)
      fi;
      later = false;
      unlock()
    }
  };
  pool_leave();

wait: /* wait_until, wait_once */
  if
  :: atomic { req[me] == ENDED -> goto ended }
  :: atomic { req[me] != ENDED && canceled[me] -> goto cancel }
  :: atomic { req[me] == ASSIGNED && !canceled[me] -> goto assigned }
  :: atomic { req[me] == SENT && !canceled[me] -> goto sent }
#ifndef BREAK_LATE_TICKET /* wait_queued: ticket, look, park */
  :: atomic { req[me] == QUEUED && !canceled[me] -> word[me] = TICKET };
    if
    :: atomic { req[me] != QUEUED || canceled[me] -> word[me] = NO_TICKET; goto wait }
    :: else
    fi
#else
  :: req[me] == QUEUED && !canceled[me] -> word[me] = TICKET
#endif
  fi;
  if /* parker_park */
  :: atomic { word[me] == WOKEN -> word[me] = NO_TICKET; goto wait }
  :: atomic { HAS(DEADLINES, me) ->
      word[me] = NO_TICKET;
      if
      :: req[me] != QUEUED -> goto wait
      :: else
      fi
    }
  fi;

cancel: /* pool_cancel */
  atomic {
    LOCK;
    d_step {
      was = req[me];
      if
      :: was == QUEUED -> pool_end(me)
      :: else
      fi;
      unlock()
    }
  };
  pool_leave();
  if
  :: atomic { was == QUEUED || was == ENDED -> was = NEW; goto wait }
  :: atomic { was == ASSIGNED || was == SENT -> /* link_abandon: NOT_RUN, or UNKNOWN */
#ifdef BREAK_NOT_GIVEN_BACK
      if
      :: was == ASSIGNED -> was = NEW; over[me] = true; req[me] = ENDED; goto ended
      :: else
      fi;
#endif
      dead[link[me]] = (was == SENT);
      was = NEW;
      goto done
    }
  fi;

assigned: /* link_begin */
  if
  :: atomic { HAS(DEADLINES, me) && parker[me] -> goto cancel }
  :: atomic { may_fail -> fail_once; dead[link[me]] = true; stale = true; goto done } /* end_stale */
  :: atomic { true ->
      assert(user[link[me]] == me + 1 && slot[link[me]] == IN_USE && !dead[link[me]]);
      if
      :: lease[me] -> won = true; goto done
      :: else -> req[me] = SENT
      fi;
      if
      :: HAS(TOKENS, me) -> silent = true /* a server that never answers */
      :: silent = false
      fi;
      goto wait
    }
  fi;

sent: /* link_wait: socket and kick descriptor */
  if
  :: atomic { !silent -> goto done }
  :: atomic { !silent && may_fail -> fail_once; dead[link[me]] = true; goto done }
  :: atomic { kicked[link[me]] -> kicked[link[me]] = false; goto wait }
  :: atomic { HAS(DEADLINES, me) -> goto cancel }
  fi;

done: /* pool_done */
  atomic {
    LOCK;
    look_at_clock();
    choose_fate();
    if
    :: all = false
    :: dead[link[me]] && fresh[link[me]] -> all = true
    fi;
    d_step {
      silent = false;
      assert(user[link[me]] == me + 1 && slot[link[me]] == IN_USE && busy[link[me]]);
      /* finish_use, drop */
      busy[link[me]] = false;
      if
      :: dead[link[me]] && stale && fresh[link[me]] && !draining ->
        slot_retire(link[me]);
        pool_dial_failed(all)
      :: dead[link[me]] && !(stale && fresh[link[me]] && !draining) -> slot_retire(link[me])
      :: !dead[link[me]] && won ->
        fresh[link[me]] = false
      :: else -> fresh[link[me]] = false; pool_put(link[me], fate, rust)
      fi;
      again = stale && !draining; /* is_stale */
      if
      :: again -> /* requeue */
        link[me] = NONE;
        parker[me] = true;
        req[me] = QUEUED;
#ifdef BREAK_REQUEUE_AT_TAIL
        queue_push_back(me);
#else
        queue_push_front(me);
#endif
        waiting++;
        pool_pump(later)
      :: else -> assert(!over[me]); over[me] = true
      fi;
      stale = false; later = false; fate = 0; rust = false; all = false;
      unlock()
    }
  };
  pool_leave();
  if
  :: atomic { again -> again = false; goto wait }
  :: else -> req[me] = ENDED /* request_publish */
  fi;

ended:
  atomic { !(firing && HAS(TOKENS, me)) -> link_of_lease = (won -> link[me] : NONE) }; /* cancel_detach */
  if
  :: !won
  :: won -> /* pmx_release: pool_release */
    atomic {
      LOCK;
      choose_fate();
      d_step {
        if
        :: user[link_of_lease] == me + 1 && leased[link_of_lease] && !busy[link_of_lease] ->
          pool_put(link_of_lease, fate, rust)
        :: else -> assert(draining) /* it was seized */
        fi;
        fate = 0; rust = false; won = false;
        unlock()
      }
    };
    pool_leave()
  fi;
  atomic {
    assert(over[me] && waiting == queued);
    link_of_lease = NONE; link[me] = NONE; lease[me] = false; parker[me] = false;
    older[me] = 0; served[me] = false;
    d_step {
      for (i : 0 .. CALLERS - 1) {
        older[i] = older[i] & ~BIT(me)
      }
      i = 0
    };
    if
    :: left > 0 -> goto submit
    :: else -> finished++
    fi
  }
}

/* ---- the reactor: link/reactor.c reactor_step; pool_tasks.c; pool_timers.c pool_tick ---- */

#define LAST (SLOTS - 1) /* one slot, or two */
#define any(array) (array[0] || array[LAST])
#define is_idle (slot[0] == IDLE || slot[LAST] == IDLE)

proctype reactor()
{
  LOCALS;
  byte s, fate;
  bool rust, all, ok, due;

jobs: /* run_jobs, run_task */
  if
  :: atomic { any(job) ->
      if
      :: job[0] -> s = 0
      :: job[LAST] -> s = LAST
      fi;
      job[s] = false;
      if
      :: draining -> goto task_done
      :: else -> running[s] = true; s = 0; goto jobs
      fi
    }
  :: else
  fi;
  atomic { /* run_tickers reads when it is due, has_jobs looks again */
    due = timer;
    if
    :: any(job) -> due = false; goto jobs
    :: else
    fi
  };

end: /* poller_wait */
  if
  :: atomic { poked -> poked = false; due = false; goto jobs }
  :: atomic { any(running) ->
      due = false;
      if
      :: running[0] -> s = 0
      :: running[LAST] -> s = LAST
      fi;
      running[s] = false;
      if
      :: ok = true
      :: may_fail || draining -> ok = false; fail_once
      fi;
      goto task_done
    }
  :: atomic { due -> due = false; timer = false; ticking = true; goto tick }
  :: atomic { EVICT && is_idle && may_fail -> fail_once; due = false; goto evict }
  fi;

task_done:
  atomic {
    LOCK;
    choose_fate();
    if
    :: all = false
    :: slot[s] == CONNECTING && !ok -> all = true
    fi;
    if
    :: fate == 2 -> fate = 1
    :: else
    fi;
    d_step {
      assert(user[s] == 0 && !dead[s]);
      later = false;
      if
      :: slot[s] == CONNECTING && !ok -> /* dial_failed */
        slot[s] = FREE;
        if
        :: !draining -> pool_dial_failed(all)
        :: else
        fi
      :: slot[s] == CONNECTING && ok -> /* dial_done */
        failures = false; backing_off = false; suspect = false;
        fresh[s] = true;
        pool_put(s, fate, rust)
      :: slot[s] == CHECKING || slot[s] == REPAIRING ->
        suspect = (slot[s] == CHECKING -> !ok && !draining : suspect);
        if
        :: ok || draining -> pool_put(s, fate, rust)
        :: else -> slot_retire(s)
        fi
      fi;
      pool_pump(later);
      s = 0; ok = false; all = false; fate = 0; rust = false;
      unlock()
    }
  };
  pool_leave();
  goto jobs;

tick: /* pool_tick: what is advanced from here on is not overwritten. The backoff is over, or … */
  atomic {
    LOCK;
    d_step {
      ticking = false;
      backing_off = false;
      if
      :: draining -> /* … tick_drain: the deadline has passed; leases nobody is in are seized */
        for (i : 0 .. SLOTS - 1) {
          if
          :: slot[i] == IN_USE && leased[i] && !busy[i] -> slot_retire(i)
          :: else
          fi
        }
        i = 0
      :: else
      fi;
      pool_pump(false);
      unlock()
    }
  };
  pool_leave();
  goto jobs;

evict: /* pool_tick, tick_idle: too old, or too long idle */
  atomic {
    LOCK;
    d_step {
      n = 0;
      do
      :: n < SLOTS && slot[n] != IDLE -> n++
      :: else -> break
      od;
      if
      :: n < SLOTS -> slot_retire(n)
      :: else
      fi;
      pool_pump(false);
      unlock()
    }
  };
  pool_leave();
  goto jobs
}

/* ---- pmx_close: pool_drain, then a REQUEST_DRAIN (submit_watcher, wait_until) ---- */

proctype closer()
{
  LOCALS;

  if
  :: CLOSE_EARLY
  :: finished == CALLERS /* so that spin sees callers that nobody wakes */
  fi;
  atomic {
    LOCK;
    d_step {
      draining = true;
      word[CLOSER] = TICKET;
      do
      :: queued > 0 -> head = queue[0]; pool_end(head)
      :: else -> break
      od;
      for (i : 0 .. SLOTS - 1) {
        if
        :: slot[i] == IDLE -> slot_retire(i)
        :: else
        fi
      }
      i = 0;
      if /* pool_watch_clock: for tick_drain */
      :: LEASES && !timer -> timer = true; poke = true
      :: else
      fi;
      watched = true;
      pool_pump(false);
      unlock()
    }
  };
  pool_leave();
  atomic {
    word[CLOSER] == WOKEN ->
    d_step {
      assert(drained);
      count_slots();
      assert(n_free == SLOTS && queued == 0 && waiting == 0);
      for (i : 0 .. CALLERS - 1) {
        assert(req[i] == NEW || req[i] == ENDED || over[i])
      }
      i = 0
    }
  }
}

/* ---- pmx_cancel_fire, wake_waiter (link/wait.c): the flag first, then each place to look at ---- */

proctype firer(byte c)
{
  byte l = NONE;

  atomic { firing = true; canceled[c] = true };
  if
  :: parker[c] -> wake(c)
  :: else
  fi;
  l = link[c];
  atomic {
    if
    :: l < NONE -> kicked[l] = true
    :: else
    fi;
    firing = false
  }
}

init {
  atomic {
    for (i : 0 .. CALLERS - 1) {
      run caller(i)
    }
    i = 0;
    run reactor();
    run closer();
    if
    :: TOKENS -> run firer(0)
    :: else
    fi
  }
}
