/* SPDX-License-Identifier: BSD-3-Clause */
/* park.pml - a row of parkers (src/base/park.c, the form with a futex): all sleep on the row's word,
 * and are woken together. What the kernel does is one step: comparing and going to sleep, and
 * waking. Each sleeper waits until it was called CALLS times, in all by WAKERS others.
 *
 * -DSLEEPERS, -DWAKERS, -DCALLS; -DTIMEOUTS=1: a time-out may come at any moment, then it parks again. */

byte row;                 /* the row's word */
byte wakes[SLEEPERS];     /* of each parker's word: the upper bits */
bit asleep[SLEEPERS];     /* and the lowest one */
bit in_kernel[SLEEPERS];  /* sleeps, in the futex's queue */
byte called[SLEEPERS];    /* what it waits for */
byte made;                /* calls so far, of all wakers */

proctype sleeper(byte me)
{
  byte ticket, seen, word;
  bit again;

  do
  :: seen == CALLS -> break
  :: else ->
    ticket = wakes[me];
    if
    :: called[me] > seen -> seen = called[me]; goto next
    :: else
    fi;
#ifndef BREAK_LATE_ROW
    word = row;
#endif
    atomic {
      if
      :: wakes[me] != ticket -> goto next
      :: else -> assert(!asleep[me]); asleep[me] = 1
      fi
    }
#ifdef BREAK_LATE_ROW
    word = row;
#endif
    do
    :: atomic {
         again = 0;
#ifdef BREAK_NO_COMPARE
         in_kernel[me] = 1
#else
         if
         :: row == word -> in_kernel[me] = 1
         :: else -> again = 1
         fi
#endif
       }
       if
       :: !again ->
         if
         :: !in_kernel[me]
         :: TIMEOUTS -> in_kernel[me] = 0
         fi
       :: else
       fi;
       word = row;
       if
       :: again && wakes[me] == ticket && asleep[me]
       :: else -> break
       fi
    od;
    atomic {
      if
      :: asleep[me] && wakes[me] == ticket -> asleep[me] = 0
      :: else
      fi
    };
next:
    skip
  od
}

proctype waker()
{
  bit mine[SLEEPERS], roused[SLEEPERS], any;
  byte i;

  do
  :: atomic {
       made == CALLS -> break
     }
  :: atomic {
       made < CALLS -> made++;
       for (i : 0 .. SLEEPERS - 1) { called[i]++ } /* as one stores what they look for */
     };
     for (i : 0 .. SLEEPERS - 1) {
       atomic {
         roused[i] = asleep[i];
         asleep[i] = 0;
         wakes[i]++
       }
     };
     any = 0;
     for (i : 0 .. SLEEPERS - 1) { any = any || roused[i] };
     if
     :: any ->
#if !defined(BREAK_NO_BUMP) && !defined(BREAK_LATE_BUMP)
       row++;
#endif
       atomic {
         for (i : 0 .. SLEEPERS - 1) {
           if
#ifdef BREAK_FIRST_ONLY
           :: roused[i] -> in_kernel[i] = 0; break
#else
           :: roused[i] -> in_kernel[i] = 0
#endif
           :: else
           fi
         }
       };
#ifdef BREAK_LATE_BUMP
       row++
#endif
     :: else
     fi
  od
}

init {
  byte i;

  atomic {
    for (i : 0 .. SLEEPERS - 1) { run sleeper(i) };
    for (i : 1 .. WAKERS) { run waker() }
  }
}
