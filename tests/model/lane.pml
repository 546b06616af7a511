/* SPDX-License-Identifier: BSD-3-Clause */
/* lane.pml - how callers share the one connection of a lane: submit, drive, write, hand over, time out,
 * cancel, die, reconnect, close. A model of who does what in which order, not of bytes and clocks;
 * functions have the names they have in the code. README.md says what is left out.
 *
 * Sizes and what callers do (-D): CALLERS REQUESTS (of each), IN_FLIGHT (mux.max_inflight), ROOM (halves
 * of requests that the kernel keeps until the server reads them), REPLIES (that the server writes before
 * somebody reads them), DEADLINES TOKENS UNATTENDED (masks of callers), CLOSES (by the server), STALLS
 * (the tick kills the connection), TICKS (the tick arms a lane that nobody uses), DOWN (it begins
 * without a connection), CLOSE_EARLY (0 or 1), TIRED (a writer may stop before all is written), EARLY
 * (what nobody waits for may be written by who submits it), OPEN (who has read may let others write
 * before he does), STRAYS (replies that the server was not asked for), GIVERS (callers may give way; 2:
 * who does stays away while somebody is parked or drives, or something is alone).
 * Mutants (-DBREAK_…): each removes one rule, and spin must notice; -DDAMAGE leaves the check of
 * invariants out, so that it shows what comes of it. */
#ifndef CALLERS
#define CALLERS 3
#endif
#ifndef REQUESTS
#define REQUESTS 1
#endif
#ifndef IN_FLIGHT
#define IN_FLIGHT NUMBERS
#endif
#ifndef ROOM
#define ROOM (2 * NUMBERS)
#endif
#ifndef REPLIES
#define REPLIES NUMBERS
#endif
#ifndef DEADLINES
#define DEADLINES 0
#endif
#ifndef TOKENS
#define TOKENS 0
#endif
#ifndef UNATTENDED
#define UNATTENDED 0
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef STALLS
#define STALLS 0
#endif
#ifndef TICKS
#define TICKS 0
#endif
#ifndef DOWN
#define DOWN 0
#endif
#ifndef CLOSE_EARLY
#define CLOSE_EARLY 0
#endif
#ifndef TIRED
#define TIRED 0
#endif
#ifndef EARLY
#define EARLY 0
#endif
#ifndef OPEN
#define OPEN 0
#endif
#ifndef STRAYS
#define STRAYS 0
#endif
#ifndef GIVERS
#define GIVERS 0
#endif

#define REACTOR CALLERS
#define BIT(n) (1 << (n))
#define HAS(mask, n) (((mask) >> (n)) & 1)

/* Every request has a number of its own, which the server sends back. */
#define NUMBERS (CALLERS * REQUESTS)
#define owner(number) ((number) / REQUESTS)
#define STRAY NUMBERS /* a reply to none of them */

/* ---- requests: one at a time for each caller. GONE: its memory is somebody else's ---- */
mtype = { GONE, QUEUED, SENT, ENDED };
mtype state[CALLERS] = GONE;
byte number[CALLERS];
byte started[CALLERS]; /* how many */
byte canceled;         /* callers whose token was fired */
byte asleep;           /* callers whose parker's word is still their ticket */

/* ---- the lane: all under its lock ---- */
byte queue[CALLERS], queued; /* callers */
byte ring[NUMBERS], in_flight;
short tombs;    /* numbers in the ring whose requests were given up … */
byte abandoned; /* … and how many they are */
byte offered;   /* halves in the ring that may have been taken; the others are in the buffer */
byte parked, coming;
#if GIVERS
byte giving; /* of those who are coming */
#else
#define giving 0
#endif
byte held, writing;       /* 1 + who */
bool up, dying, dialling; /* no connection at all: none of them */
bool last;                /* the client is being closed */
bool blocked, watches_out, stuck, quiet;
#if OPEN
bool opened; /* in the code: open */
#endif
bool armed, armed_out, poked;
byte wakes; /* noted for lane_leave: callers, KICK */
#define KICK BIT(CALLERS)

/* ---- the system ---- */
byte wire[NUMBERS + STRAYS], on_wire; /* numbers */
byte answered;               /* the first of them, which are replies by now */
byte received;               /* the first of these, which the token's holder has in its hands */
bool half_sent, half_read;   /* of the last one only the first half was sent; the server has read it */
bool hung_up;                /* by the server */
bool kicked;                 /* the transport's eventfd */
bool posted;                 /* reactor_post */

/* ---- ghosts: only for the properties ---- */
#define READS 1
#define WRITES 2
byte touching;       /* the socket is used without the lock */
byte kicking;        /* how many are about to kick */
short left, not_run; /* numbers of which a byte has left; that were reported NOT_RUN */
byte finished;       /* callers */
byte closes, stalls, ticks, strays;
#if STRAYS
short hasty; /* numbers taken to be written while there were replies in somebody's hands */
#endif

#define busy (in_flight > 0)
#define has_work (queued > 0 || busy)
#define to_send (2 * in_flight > offered)
#define may_take (queued > 0 && in_flight < IN_FLIGHT)
#ifndef BREAK_REST_FORGOTTEN
#define writable (up && !stuck && (to_send || may_take))
#else
#define writable (up && !stuck && may_take)
#endif
#define unread (2 * (on_wire - answered) - half_sent - half_read)
#define ready_in (answered > received || hung_up)
#define ready_out (unread < ROOM || hung_up)

/* Scratch: dead outside of one indivisible step. */
hidden byte i, k, n, c, was, gave_way, wrote;

/* ---- lane.c: the lock is dropped ---- */

inline poke()
{
  poked = true;
  posted = true
}

inline nudge(who)
{
  assert(!HAS(giving, who));
  coming = coming | BIT(who);
  wakes = wakes | BIT(who)
}

/* In the code the newest; which one does not matter. */
inline nudge_one()
{
  if
  :: HAS(parked, 0) -> nudge(0)
  :: HAS(parked, 1) -> nudge(1)
#if CALLERS > 2
  :: HAS(parked, 2) -> nudge(2)
#endif
  fi
}

/* The reactor will see to it, or a writer who looks again when he has written. */
#if defined(BREAK_SPINNING_WHILE_WRITING)
#define watched (armed && !writable && (!stuck || armed_out))
#elif defined(BREAK_NOT_WATCHED_FOR_ROOM)
#define watched (armed && (!writable || writing))
#else
#define watched (armed && (!writable || writing) && (!stuck || armed_out))
#endif

/* Requests under way for which nobody comes. */
#define is_alone(who) (HAS(UNATTENDED, who) && (state[who] == QUEUED || state[who] == SENT))
#if !UNATTENDED
#define any_alone false
#elif CALLERS > 2
#define any_alone (is_alone(0) || is_alone(1) || is_alone(2))
#else
#define any_alone (is_alone(0) || is_alone(1))
#endif

/* Somebody reads and writes it, or will. Who is parked depends neither on the reactor, which may be in
 * a callback, nor on one who gives way, and may be kept from running; nor on him does what is alone. */
#ifndef BREAK_GIVER_COUNTS
#define is_coming (coming & ~giving)
#else
#define is_coming coming
#endif
#ifndef BREAK_GIVER_SUFFICES
#define giver_suffices (giving && !any_alone)
#else
#define giver_suffices giving
#endif
#define is_attended_to (held || is_coming || (!parked && (giver_suffices || poked || watched)))

inline ensure_driver()
{
  if
#ifndef BREAK_NO_POKE_AT_LEAVE_DYING
  :: dying && !held && !writing && !poked -> poke()
#endif
  :: up && !is_attended_to && has_work ->
    if
    :: parked -> nudge_one()
    :: else -> poke()
    fi
  :: else
  fi
}

/* What holds whenever somebody drops the lock. */
inline check_invariants()
{
#ifndef DAMAGE
  /* T: somebody looks after the work, and writes what can be written. */
  assert(!up || !has_work || is_attended_to);
  assert(!writable || writing || held || is_coming || (!parked && (giver_suffices || poked)));
  assert(!(giving & ~coming));
  /* Nobody sleeps in poll who should do something, or whom no reply will wake. */
  assert(!blocked || (wakes & KICK) || kicking || kicked ||
    (up && (!stuck || watches_out) && (!writable || writing) && (busy || writing) &&
      state[held - 1] != ENDED && !HAS(canceled, held - 1)));
  assert(!dying || held || writing || poked)
#else
  skip
#endif
}

/* The end of each step under the lock. Locals of each process: mine, asked, took, failed, eof. */
inline unlock()
{
  check_invariants();
  kicking = kicking + ((wakes & KICK) != 0);
  mine = wakes; wakes = 0
}

inline lane_leave()
{
  ensure_driver();
  unlock()
}

/* Later. One step, for nobody can tell a late wake from one that comes later still. */
inline deliver()
{
#ifdef BREAK_STATE_AFTER_UNLOCK
  d_step {
    for (i : 0 .. CALLERS - 1) {
      if
      :: HAS(late, i) -> assert(state[i] == SENT); state[i] = ENDED
      :: else
      fi
    }
    i = 0; late = 0
  };
#endif
  kicking = kicking - ((mine & KICK) != 0);
  kicked = kicked || (mine & KICK);
  asleep = asleep & ~mine;
  mine = 0
}

/* ---- lane.c: requests begin and end ---- */

inline not_coming(who)
{
#if GIVERS
  giving = giving & ~BIT(who);
#endif
  coming = coming & ~BIT(who)
}

inline end_request(who)
{
  assert(state[who] == QUEUED || state[who] == SENT); /* one outcome (P2), and it is still there */
  parked = parked & ~BIT(who);
  state[who] = ENDED
}

/* Somebody else than its issuer ends it. That one may be giving way, and leaves without the lock. */
inline lane_finish(who)
{
  end_request(who);
#ifdef BREAK_FINISHED_BUT_GIVING
  coming = coming & ~BIT(who);
#elif !defined(BREAK_COMING_FOR_EVER) && !defined(BREAK_FINISHED_BUT_COMING)
  not_coming(who);
#endif
  wakes = wakes | BIT(who);
  if
  :: blocked && held == who + 1 -> wakes = wakes | KICK
  :: else
  fi
}

inline is_not_run(who)
{
  assert(!HAS(left, number[who]));
  not_run = not_run | BIT(number[who])
}

inline lane_dequeue(who)
{
  k = 0;
  do
  :: k < queued && queue[k] != who -> k++
  :: else -> break
  od;
  assert(k < queued);
  do
  :: k + 1 < queued -> queue[k] = queue[k + 1]; k++
  :: else -> break
  od;
  queued--;
  queue[queued] = 0;
  k = 0
}

inline lane_requeue(who)
{
  assert(state[who] == SENT);
  state[who] = QUEUED;
  k = queued;
  do
  :: k > 0 -> queue[k] = queue[k - 1]; k--
  :: else -> break
  od;
  queue[0] = who;
  queued++
}

/* ---- lane_look.c: dying ---- */

/* A byte of the i-th in the ring may have left. */
#ifndef BREAK_REQUEUE_IN_DOUBT
#define in_doubt(i) (2 * (i) < offered)
#else
#define in_doubt(i) (2 * (i) < offered && !writing)
#endif

/* What was not sent goes back to the queue's head, or ends if the client is being closed. */
inline lane_kill()
{
  up = false; dying = true;
#ifndef BREAK_NO_KICK_AT_DEATH
  if
  :: blocked -> wakes = wakes | KICK
  :: else
  fi;
#endif
  i = in_flight;
  do
  :: i == 0 -> break
  :: else ->
    i--;
    c = owner(ring[i]);
    assert(HAS(tombs, ring[i]) || number[c] == ring[i]);
    if
    :: HAS(tombs, ring[i])
    :: !HAS(tombs, ring[i]) && in_doubt(i) -> lane_finish(c)
    :: !HAS(tombs, ring[i]) && !in_doubt(i) && last -> is_not_run(c); lane_finish(c)
    :: !HAS(tombs, ring[i]) && !in_doubt(i) && !last -> lane_requeue(c)
    fi;
    tombs = tombs | BIT(ring[i]) /* nobody's: a writer may be sending its bytes just now */
  od;
  c = 0
}

/* Owes nobody an answer. */
inline end_if_last()
{
  if
  :: up && last && !queued && in_flight == abandoned -> lane_kill()
  :: else
  fi
}

/* ---- lane.c, mux_lane.c: given up, and dropped ---- */

/* Its issuer gives it up. */
inline lane_withdraw(who)
{
  if
  :: state[who] == QUEUED -> lane_dequeue(who); is_not_run(who); end_request(who)
  :: state[who] == SENT ->
    k = 0;
    do
    :: k < in_flight && ring[k] != number[who] -> k++
    :: else -> break
    od;
    assert(k < in_flight && !HAS(tombs, number[who]));
    k = 0;
#ifndef BREAK_NO_TOMBSTONE
    tombs = tombs | BIT(number[who]);
    abandoned++;
#endif
    end_request(who)
  :: else
  fi;
#ifndef BREAK_COMING_FOR_EVER
  not_coming(who);
#endif
  end_if_last() /* perhaps it waited for this one only */
}

inline mux_drop_queued()
{
  do
  :: queued == 0 -> break
  :: else -> n = queue[0]; lane_dequeue(n); is_not_run(n); lane_finish(n)
  od;
  n = 0
}

/* ---- lane_io.c: out ---- */

/* lane_flush, until the lock is dropped: from the queue to the buffer. */
inline begin_flush(who)
{
  if
  :: !writing && writable ->
    writing = who + 1;
    d_step {
      do
      :: may_take ->
        c = queue[0];
        assert(state[c] == QUEUED);
        lane_dequeue(c);
        state[c] = SENT;
        ring[in_flight] = number[c];
#if STRAYS
        hasty = hasty | (received > 0 -> BIT(number[c]) : 0);
#endif
        in_flight++
      :: else -> break
      od;
      c = 0;
      asked = 2 * in_flight - offered;
#ifndef BREAK_ACCOUNT_LATE
      offered = 2 * in_flight;
#endif
      touching = touching | WRITES
    }
  :: else
  fi
}

/* transport_send: the kernel takes what it has room for. When the server has hung up it takes
 * everything in vain, or says so. */
inline send()
{
  assert(asked > 0 && (touching & WRITES));
  took = asked;
  if
  :: !hung_up && ROOM - unread < asked -> took = ROOM - unread
  :: else
  fi;
  k = 2 * in_flight - asked; /* nobody else adds to the ring */
  n = k + took;
  do
  :: k < n ->
    i = ring[k / 2];
    assert(!HAS(not_run, i));
    if
    :: k % 2 == 0 ->
      assert(!HAS(left, i)); /* at most once (P3) */
      left = left | BIT(i);
      if
      :: !hung_up -> wire[on_wire] = i; on_wire++; half_sent = true
      :: else
      fi
    :: k % 2 == 1 && !hung_up ->
      assert(half_sent && wire[on_wire - 1] == i); /* the bytes of a request are together */
      half_sent = false
    :: else
    fi;
    k++
  :: else -> break
  od;
  i = 0; k = 0; n = 0
}

inline send_or_fail()
{
  if
  :: d_step { send() }
  :: hung_up -> failed = true
  fi
}

/* sent: with the lock again. */
inline account()
{
  touching = touching & ~WRITES;
  writing = 0;
  if
  :: up ->
#ifndef BREAK_ACCOUNT_LATE
    offered = offered - (asked - took);
#else
    offered = offered + took;
#endif
    if
    :: failed -> lane_kill()
    :: !failed && took < asked ->
      stuck = true;
#ifndef BREAK_NO_KICK
      if
      :: blocked && !watches_out -> wakes = wakes | KICK
      :: else
      fi
#endif
    :: else
    fi
  :: else
  fi;
  asked = 0; took = 0; failed = false
}

/* ---- lane_io.c: in ---- */

/* transport_recv: the end of the file comes after the replies. */
inline receive()
{
  assert(touching & READS);
  received = answered;
  eof = (received == 0 && hung_up)
}

inline match()
{
  touching = touching & ~READS;
  quiet = false;
  do
#if STRAYS
  :: up && received > 0 && wire[0] == STRAY -> /* the connection ends, for what it answers gets what is wrong */
    assert(!in_flight || offered < 2 || !HAS(hasty, ring[0]));
    lane_kill()
#endif
  :: up && received > 0 && wire[0] != STRAY ->
    assert(in_flight > 0 && offered >= 2); /* it was asked for */
    n = ring[0];
    assert(wire[0] == n);
    for (k : 1 .. NUMBERS - 1) {
      ring[k - 1] = ring[k]
    }
    ring[NUMBERS - 1] = 0;
    for (k : 1 .. NUMBERS + STRAYS - 1) {
      wire[k - 1] = wire[k]
    }
    wire[NUMBERS + STRAYS - 1] = 0;
    in_flight--; on_wire--; answered--; received--;
    offered = offered - 2;
    if
    :: HAS(tombs, n) -> tombs = tombs & ~BIT(n); abandoned--
    :: else ->
      c = owner(n);
      assert(number[c] == n); /* a reply completes the request it answers (P1) */
      lane_finish(c);
#ifdef BREAK_STATE_AFTER_UNLOCK
      state[c] = SENT; late = late | BIT(c)
#endif
    fi
  :: else -> break
  od;
  received = 0; k = 0; n = 0; c = 0;
  if
  :: up && eof -> lane_kill()
  :: else
  fi;
  end_if_last();
  eof = false
}

/* ---- a caller: lane_submit and lane_wait, or a request that nobody waits for ---- */

mtype = { SUBMIT, WRITE, SEND, ACCOUNT, LOOK, PARK, POLL, RECEIVE, MATCH, FLUSH, GIVE_UP, AWAIT, OVER, IDLE,
  READY, OPENED };

#define unattended HAS(UNATTENDED, me)
#define mortal HAS(DEADLINES, me)
#define role(who) (HAS(DEADLINES, who) + 2 * HAS(TOKENS, who) + 4 * HAS(UNATTENDED, who))
/* parker_park returns, or was not even called. */
#define unparked (!HAS(asleep, me) || HAS(canceled, me) || mortal)
/* Callers of one role are alike: they begin in their order. */
#define its_turn (me == 0 || started[me] > 0 || role(me) != role(me - 1) || started[me - 1] > 0)

#define LOCALS \
  byte mine, asked, took; \
  bool failed, eof; \
  byte late /* a mutant's */

inline lane_submit()
{
  number[me] = me * REQUESTS + started[me];
  started[me]++;
  if
  :: last -> not_run = not_run | BIT(number[me]); state[me] = ENDED /* turned_away */
  :: else ->
    state[me] = QUEUED;
    queue[queued] = me; queued++;
    coming = coming | (unattended -> 0 : BIT(me));
#if GIVERS
    if
    :: !unattended -> giving = giving | BIT(me)
    :: true
    fi
#endif
  fi
}

/* Its reply, a kick, room, or nothing but the time. */
#define poll_returns (ready_in || (watches_out && ready_out) || kicked)

inline return_from_poll()
{
  if
  :: poll_returns
  :: mortal -> expired = true
  fi;
  blocked = false; kicked = false;
  stuck = stuck && !(watches_out && ready_out);
  watches_out = false;
  if
  :: ready_in -> at = RECEIVE
  :: else -> touching = touching & ~READS; at = FLUSH
  fi
}

/* let_others_queue: while he wakes those whose replies he has read. How many they have to be is left open. */
inline after_read()
{
  at = FLUSH;
#if OPEN
  if
  :: !unattended && (wakes & ~KICK) -> opened = true; at = OPENED
  :: true
  fi
#endif
}

inline close_window()
{
#if OPEN && !defined(BREAK_STAYS_OPEN)
  opened = false;
#endif
  at = FLUSH
}

/* Whether it is worth it is left open. */
#if !OPEN
#define may_write_now false
#elif !defined(BREAK_OPEN_WHILE_READING)
#define may_write_now (opened && writable && !writing)
#else
#define may_write_now (held && !blocked && writable && !writing)
#endif

/* lane_unseen: the beginning of a reply, or the end of the file, may have come meanwhile. */
inline look_first()
{
  if
  :: quiet || TICKS -> touching = touching | READS; at = RECEIVE
  :: !quiet -> at = FLUSH
  fi
}

inline take_token()
{
  held = me + 1;
  look_first()
}

/* Mutants that drop the lock without a look at T, told by what was done last under it. */
#if defined(BREAK_LEAVE_WITHOUT_ENSURE)
#define careless (was == FLUSH && at == LOOK)
#elif defined(BREAK_NO_ENSURE_AFTER_WRITE)
#define careless (was == WRITE)
#elif defined(BREAK_GIVES_UP_WITHOUT_ENSURE)
#define careless (was == GIVE_UP && gave_way)
#elif defined(BREAK_GIVES_UP_NOT_COMING)
#define careless (was == LOOK && at == LOOK)
#elif defined(BREAK_NO_NUDGE_ON)
#define careless ((was == PARK || was == GIVE_UP || was == AWAIT) && at == LOOK)
#else
#define careless false
#endif

/* Mutants that do not flush when they should. */
#if defined(BREAK_NO_LAST_FLUSH)
#define lazy (at == FLUSH && leaves)
#elif defined(BREAK_BLOCK_WITH_QUEUE)
#define lazy (was == MATCH)
#elif defined(BREAK_OPEN_NOT_WRITTEN)
#define lazy (was == OPENED)
#else
#define lazy false
#endif

/* Nobody goes on writing for a holder who has woken, and may have bytes in his hands. */
#if !OPEN
#define is_opened false
#else
#define is_opened opened
#endif
#if !defined(BREAK_WRITES_ON) && !defined(BREAK_OPEN_WHILE_READING)
#define is_holder_reading (at == WRITE && held && !blocked && !is_opened)
#else
#define is_holder_reading false
#endif

/* A driver goes when its own request has ended, or it is given up, or the connection is lost. */
#define leaves (unattended || state[me] == ENDED || expired || HAS(canceled, me) || !up)

inline await()
{
  touching = touching | READS;
  if
#if !defined(BREAK_BLOCK_WITH_QUEUE) && !defined(BREAK_OPEN_NOT_WRITTEN)
  :: writable && !writing -> at = RECEIVE /* others queue faster than is written */
#endif
  :: else -> blocked = true; watches_out = stuck; at = POLL
  fi
}

inline park()
{
  parked = parked | BIT(me);
#ifdef BREAK_LATE_TICKET
  at = READY
#else
  asleep = asleep | BIT(me);
  at = PARK
#endif
}

/* The queue has been written for a driver that sleeps. */
inline after_write()
{
  if
#if defined(BREAK_TAKES_TOKEN_BLINDLY)
  :: !unattended && up && !held -> not_coming(me); held = me + 1; await()
#elif defined(BREAK_PARKS_BLINDLY)
  :: !unattended -> not_coming(me); park()
#endif
  :: else -> at = (unattended -> AWAIT : LOOK)
  fi;
#ifndef BREAK_NO_KICK_WHEN_TIRED
  if
  :: blocked && writable && !writing -> wakes = wakes | KICK
  :: else
  fi
#endif
}

/* lane_wait. Perhaps he has been cancelled since he looked, or his time is up. Who has given way looks
 * at that first, and gives up; he is still coming, to withdraw his request. */
inline look_at_lane()
{
  if
  :: gave_way && (mortal || HAS(canceled, me)) ->
#ifdef BREAK_GIVES_UP_NOT_COMING
    not_coming(me);
#endif
    expired = true
  :: !(gave_way && HAS(canceled, me)) ->
    not_coming(me);
    if
    :: up && !held -> take_token()
    :: else -> park()
    fi
  fi
}

/* Others have his processor, and keep it: he comes when nobody is parked, nobody drives, and nothing is
 * alone. */
#if GIVERS > 1
#define stays_away (HAS(giving, me) && (parked || held || any_alone))
#else
#define stays_away false
#endif

proctype caller(byte me)
{
  LOCALS;
  bool expired;
  mtype at = SUBMIT, next;

  do
  :: atomic { mine -> deliver() }
  :: atomic { !mine && at == SEND -> send_or_fail(); at = ACCOUNT }
  :: atomic { !mine && at == RECEIVE -> receive(); at = MATCH }
  :: atomic { /* he looks without the lock, also when he has given way, which is done at LOOK */
      !mine && state[me] == ENDED && (at == LOOK || at == AWAIT || (at == PARK && unparked)) ->
#ifndef DAMAGE
      assert(!HAS(coming, me) && !HAS(giving, me) && !HAS(parked, me)); /* nobody counts on him */
#endif
      state[me] = GONE; expired = false;
      asleep = asleep & ~BIT(me);
      at = (started[me] < REQUESTS -> SUBMIT : OVER)
    }
  :: atomic {
      !mine && at == LOOK && state[me] != ENDED && !stays_away && (expired || HAS(canceled, me)) ->
      at = GIVE_UP
    }
#ifdef BREAK_LATE_TICKET
  :: atomic { !mine && at == READY -> asleep = asleep | BIT(me); at = PARK }
#endif
  :: atomic { !mine && at == OVER -> finished++; break }
  :: atomic { /* with the lock */
      !mine && ((at == SUBMIT && its_turn) || at == ACCOUNT || at == MATCH || at == OPENED || at == GIVE_UP ||
        (at == POLL && (mortal || poll_returns)) ||
        (state[me] != ENDED && ((at == LOOK && !expired && !stays_away) || (at == AWAIT && mortal) ||
          (at == PARK && unparked)))) ->
      was = at; gave_way = HAS(giving, me);
      if
      :: at == SUBMIT ->
        lane_submit();
        if
        :: state[me] == ENDED -> at = (unattended -> AWAIT : LOOK)
        :: state[me] == QUEUED && ((held && blocked) || may_write_now) -> at = WRITE
        :: state[me] == QUEUED && EARLY && unattended && !held && writable && !writing -> take_token()
        :: state[me] == QUEUED && !(held && blocked) -> at = (unattended -> AWAIT : LOOK)
        fi
      :: at == LOOK -> look_at_lane()
      :: at == PARK ->
        if
        :: !HAS(asleep, me) || HAS(canceled, me)
        :: mortal -> expired = true
        fi;
        asleep = asleep & ~BIT(me); parked = parked & ~BIT(me);
        not_coming(me);
        if
        :: !expired && up && !held -> take_token()
        :: else -> at = LOOK
        fi
      :: at == POLL -> return_from_poll()
      :: at == MATCH -> d_step { match() }; after_read()
      :: at == OPENED -> close_window()
      :: at == ACCOUNT -> account(); at = next; was = next; next = 0
      :: at == GIVE_UP || at == AWAIT -> lane_withdraw(me); at = LOOK
      fi;
      if
      :: at == WRITE || at == FLUSH ->
        if
        :: !lazy && !is_holder_reading -> begin_flush(me)
        :: lazy || is_holder_reading || (TIRED && (was == WRITE || was == FLUSH))
        fi;
        if
        :: writing == me + 1 -> next = at; at = SEND
        :: writing != me + 1 && at == WRITE -> after_write()
        :: writing != me + 1 && at == FLUSH && leaves ->
#ifndef DAMAGE
          assert(TIRED || !writable || writing); /* or it is written late */
#endif
          held = 0;
          was = FLUSH;
          at = (unattended -> AWAIT : LOOK)
        :: else -> await()
        fi
      :: else
      fi;
      if
      :: careless
      :: else -> ensure_driver()
      fi;
      was = 0; gave_way = 0;
      unlock()
    }
  od
}

/* ---- the reactor: look, and what the strategy does on its thread ---- */

/* bury: nobody reads or writes it any more. */
inline close_socket()
{
  assert(!touching && !up && !held && !writing);
  for (i : 0 .. NUMBERS - 1) {
    ring[i] = 0
  }
  for (i : 0 .. NUMBERS + STRAYS - 1) {
    wire[i] = 0
  }
  i = 0;
#if STRAYS
  hasty = 0;
#endif
  in_flight = 0; tombs = 0; abandoned = 0; offered = 0;
  on_wire = 0; answered = 0; half_sent = false; half_read = false; hung_up = false;
  dying = false; stuck = false; quiet = false;
#ifndef BREAK_QUEUE_LEFT_AT_CLOSE
  if /* down_done */
  :: last -> mux_drop_queued()
  :: else
  fi
#endif
}

/* With the lock, to its end. */
inline look()
{
  poked = false;
  if
  :: dying ->
#ifndef BREAK_SPINNING_WHILE_DYING
    armed = false; armed_out = false;
#endif
    if
#if defined(BREAK_CLOSE_WHILE_READING)
    :: writing
#elif defined(BREAK_CLOSE_WHILE_WRITING)
    :: held
#else
    :: held || writing
#endif
    :: else -> d_step { close_socket() }
    fi;
    at = IDLE
  :: up && held -> armed = false; armed_out = false; at = IDLE
  :: up && !held -> /* drive_once */
    held = REACTOR + 1;
    stuck = stuck && !events_out;
    if
    :: events_in -> touching = touching | READS; at = RECEIVE
    :: else -> look_first()
    fi
  :: else -> at = IDLE
  fi;
  events_in = false; events_out = false
}

inline end_drive_once()
{
  if
  :: begin_flush(REACTOR)
  :: TIRED && wrote
  fi;
  wrote = 0;
  if
  :: writing == REACTOR + 1 -> at = SEND
  :: else ->
    held = 0;
#ifndef BREAK_NOT_ARMED
    armed = up && !(parked && busy);
#else
    armed = false;
#endif
    armed_out = armed && stuck;
    quiet = quiet || (armed && !busy);
    at = IDLE
  fi
}

proctype reactor()
{
  LOCALS;
  bool events_in, events_out;
  mtype at = IDLE;

end:
  do
  :: atomic { mine -> deliver() }
  :: atomic { !mine && at == SEND -> send_or_fail(); at = ACCOUNT }
  :: atomic { !mine && at == RECEIVE -> receive(); at = MATCH }
  :: atomic { !mine && at == IDLE && armed && (ready_in || (armed_out && ready_out)) ->
      events_in = ready_in; events_out = armed_out && ready_out;
      at = READY
    }
  :: atomic { /* with the lock: mux_want_connection, lane_up; mux_tick, lane_arm */
      !mine && at == IDLE && (dialling || (!up && !dying && !last) || (up && (stalls < STALLS ||
        (ticks < TICKS && !held && !armed)))) ->
      if
      :: !up && !dialling -> dialling = true
      :: dialling && last -> dialling = false
      :: dialling ->
        dialling = false;
        up = true;
#ifndef BREAK_LAST_FORGOTTEN
        end_if_last()
#endif
      :: up && stalls < STALLS -> stalls++; d_step { lane_kill() }
      :: up && ticks < TICKS && !held && !armed ->
        ticks++;
        quiet = true;
        armed = true; armed_out = stuck
      fi;
      lane_leave()
    }
  :: atomic { /* with the lock: look_job, look_io */
      !mine && ((at == IDLE && posted) || at == READY || at == ACCOUNT || at == MATCH) ->
      if
      :: at == IDLE -> posted = false; look()
      :: at == READY -> look()
      :: at == ACCOUNT -> account(); wrote = 1; at = FLUSH
      :: at == MATCH -> d_step { match() }; at = FLUSH
      fi;
      if
      :: at == FLUSH -> end_drive_once()
      :: else
      fi;
      lane_leave()
    }
  od
}

/* ---- the server: answers in order, and reads on only when there is room for its answer ---- */

proctype server()
{
end:
  do
  :: atomic { !hung_up && answered < on_wire - half_sent && answered - received < REPLIES ->
      answered++; half_read = false
    }
  :: atomic { !hung_up && half_sent && !half_read && answered == on_wire - 1 && answered - received < REPLIES ->
      half_read = true
    }
  :: atomic { !hung_up && up && closes < CLOSES -> closes++; hung_up = true }
#if STRAYS
  :: atomic { !hung_up && up && strays < STRAYS && answered - received < REPLIES ->
      strays++;
      k = on_wire;
      do
      :: k > answered -> wire[k] = wire[k - 1]; k--
      :: else -> break
      od;
      k = 0;
      wire[answered] = STRAY;
      on_wire++; answered++
    }
#endif
  od
}

/* ---- pmx_cancel_fire: wake_waiter, link/wait.c. The flag first, then each place to look at ---- */

proctype firer(byte who)
{
  atomic { canceled = canceled | BIT(who); kicking++ }
  asleep = asleep & ~BIT(who);
  atomic {
    kicking--;
#ifndef BREAK_NO_KICK_AT_CANCEL
    kicked = kicked || (held == who + 1)
#endif
  }
}

/* ---- pmx_close: mux_drain. What was submitted has until the deadline ---- */

proctype closer()
{
  LOCALS;
  bool impatient;

  atomic {
    if
    :: impatient = false
    :: impatient = true
    fi;
    d_step {
      if
      :: !up -> mux_drop_queued()
      :: else
      fi;
      last = true;
      end_if_last()
    };
    lane_leave()
  };
  atomic { deliver() };
  atomic { /* tick_draining */
    (!up && !dialling) || impatient ->
    impatient = false;
    d_step {
      if
      :: up -> lane_kill(); mux_drop_queued()
      :: else
      fi
    };
    lane_leave()
  };
  atomic { deliver() };
  !up && !dying && !dialling
}

init {
  atomic {
    up = !DOWN;
    for (i : 0 .. CALLERS - 1) {
      run caller(i)
    }
    i = 0;
    run reactor();
    run server();
    if
    :: TOKENS -> run firer(0)
    :: else
    fi;
    if
    :: CLOSE_EARLY -> run closer()
    :: else
    fi
  };
  atomic { /* in the end nothing is left of them, not even a late reply */
    finished == CALLERS && !has_work && (!on_wire || strays) && !held && !writing && !dying ->
    assert(!tombs && !parked && !coming && !giving && !offered && !touching)
  }
}
