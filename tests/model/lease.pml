/* How a job ends: claim, effect, row in PostgreSQL, settlement in Redis, by workers that die between any two of these,
 * are stopped for longer than their lease and go on as if nothing had been, and do not hear replies (docs/model.md).
 *
 * What Redis and PostgreSQL do in one script or one statement is one atomic step. A worker has one slot. Everything that
 * may go wrong costs one of FAULTS; that a job fails, or that a process is slow, costs nothing.
 *
 * BROKEN_ORDER    settles before the row is written
 * BROKEN_GUARD    writes the row whatever stands there
 * BROKEN_FENCE    settles whoever holds the claim by now
 * BROKEN_ATTEMPT  counts attempts from 0 again when a claim is given back */
#ifndef JOBS
#define JOBS 1
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#define WORKERS      2
#define MAX_ATTEMPTS 2

mtype = {nowhere, ready, delayed, running, ended};         /* where Redis has a job */
mtype = {none, retrying, succeeded, dead};                /* what its row says */
mtype = {done, retry, release};                           /* how a claim is settled */

typedef job_in_stores {
    mtype place = nowhere;
    byte owner, boot, attempt, excused; /* of an running job: whose claim */
    mtype row = none;
    byte row_attempt;
    byte highest; /* attempt that was ever given out */
};

job_in_stores job[JOBS];
byte boot[WORKERS];       /* the last part of a consumer's name */
bool registered[WORKERS]; /* under that name */
bool is_dead[WORKERS];    /* the process is gone */
byte faults = FAULTS;

#define TERMINAL(j) (job[j].row == succeeded || job[j].row == dead)
#define FAULT       faults > 0 -> faults--
#define IS_OURS(j)  (job[j].place == running && job[j].owner == w && job[j].boot == boot[w] && job[j].attempt == attempt)

/* --- the stores ------------------------------------------------------------------------------------ */

inline give_back(j, excuse)
{
    job[j].place = ready;
    job[j].owner = 0;
    job[j].boot = 0;
    job[j].excused = job[j].excused + excuse;
#ifdef BROKEN_ATTEMPT
    job[j].attempt = 0;
#endif
}

inline give_back_all(who, excuse)
{
    for (i : 0 .. JOBS - 1) {
        if
        :: job[i].place == running && job[i].owner == who -> give_back(i, excuse)
        :: else
        fi
    }
    i = 0
}

inline take(j)
{
    job[j].attempt++;
    assert(job[j].attempt > job[j].highest);
    job[j].highest = job[j].attempt;
    job[j].place = running;
    job[j].owner = w;
    job[j].boot = boot[w];
}

/* The upsert of queue/ledger_batch.c. Sets is_stale. */
inline upsert(j)
{
    if
#ifdef BROKEN_GUARD
    :: true ->
#else
    :: job[j].row == none || (job[j].row == retrying && job[j].row_attempt <= attempt) ||
       (job[j].row == outcome && job[j].row_attempt == attempt) ->
#endif
        assert(!TERMINAL(j) || job[j].row == outcome); /* a terminal row never changes */
        assert(job[j].row_attempt <= attempt);         /* nor does a newer attempt's */
        job[j].row = outcome;
        job[j].row_attempt = attempt;
        is_stale = false
    :: else -> is_stale = true
    fi
}

inline settle_claim(j)
{
    if
#ifdef BROKEN_FENCE
    :: job[j].place == running ->
#else
    :: IS_OURS(j) ->
#endif
        assert(IS_OURS(j));
        job[j].owner = 0;
        job[j].boot = 0;
        if
        :: kind == done -> job[j].place = ended
        :: kind == retry -> job[j].place = delayed
        :: kind == release -> job[j].place = ready; job[j].excused++
        fi
    :: else
    fi
#ifndef BROKEN_ORDER
    assert(job[j].place != ended || TERMINAL(j)) /* it did not leave Redis without a word in PostgreSQL */
#endif
}

/* --- processes ------------------------------------------------------------------------------------- */

#define DIES     atomic { FAULT; is_dead[w] = true; goto gone }
#define IS_TOLD  atomic { !registered[w] -> goto begin } /* by a beat: it was taken for dead, and drops what it holds */

proctype worker(byte w)
{
    byte i, j, attempt, counted;
    mtype outcome = none, kind = done;
    bool is_stale;

begin:
    atomic {
        boot[w]++;
        registered[w] = true;
        i = 0; j = 0; attempt = 0; counted = 0; outcome = none; kind = done; is_stale = false;
        give_back_all(w, 0)
    }
idle:
    atomic {
        attempt = 0; counted = 0; outcome = none; kind = done; is_stale = false; j = 0;
    }
end_wait: /* here a worker may stay when there is nothing to do */
    if
    :: atomic {
           registered[w] && job[0].place == ready -> j = 0; take(j)
       }
#if JOBS > 1
    :: atomic {
           registered[w] && job[1].place == ready -> j = 1; take(j)
       }
#endif
    :: IS_TOLD
    :: DIES
    fi;
    if
    :: atomic { attempt = job[j].attempt; counted = attempt - job[j].excused; goto claimed }
    :: atomic { FAULT; goto reconcile } /* the reply was lost */
    fi;

reconcile:
    if
    :: atomic { registered[w] -> give_back_all(w, 1); goto idle }
    :: IS_TOLD
    :: DIES
    fi;

claimed: /* has an earlier attempt written the last word? */
    if
    :: atomic { attempt > 1 && TERMINAL(j) -> kind = done; goto settle }
    :: !(attempt > 1 && TERMINAL(j))
    :: atomic { FAULT } /* PostgreSQL cannot say */
    :: IS_TOLD
    :: DIES
    fi;

effect: /* repeated effects are harmless: only the outcome counts here */
    if
    :: atomic { counted > MAX_ATTEMPTS -> outcome = dead }
    :: atomic { counted <= MAX_ATTEMPTS -> outcome = succeeded }
    :: atomic { counted < MAX_ATTEMPTS -> outcome = retrying }
    :: atomic { counted == MAX_ATTEMPTS -> outcome = dead }
    :: atomic { FAULT; kind = release; goto settle } /* the worker drains */
    :: IS_TOLD
    :: DIES
    fi;
#ifdef BROKEN_ORDER
    atomic { kind = (outcome == retrying -> retry : done); settle_claim(j) };
#endif

record: /* the worker looks at its lease before this; that helps nothing against being stopped right after */
    if
    :: atomic { upsert(j) }
    :: atomic { FAULT; upsert(j); goto record } /* written, not heard: it is written again */
    :: IS_TOLD
    :: DIES
    fi;
    atomic { kind = (outcome == retrying && !is_stale -> retry : done) };

settle:
    if
#ifndef BROKEN_ORDER
    :: atomic { settle_claim(j); goto idle }
    :: atomic { FAULT; settle_claim(j); goto settle } /* done, not heard: it is sent again */
#else
    :: goto idle
#endif
    :: IS_TOLD
    :: DIES
    fi;

gone:
    if
    :: atomic { is_dead[w] = false; goto begin } /* systemd starts it anew */
    :: w == 1                                    /* or the machine is gone for good */
    fi
}

proctype reaper()
{
    byte i;

end_look:
    do
    :: atomic { job[0].place == delayed -> job[0].place = ready }
#if JOBS > 1
    :: atomic { job[1].place == delayed -> job[1].place = ready }
#endif
    :: atomic { is_dead[0] && registered[0] -> registered[0] = false; give_back_all(0, 0) }
    :: atomic { is_dead[1] && registered[1] -> registered[1] = false; give_back_all(1, 0) }
       /* stopped, cut off, or the clock jumped */
    :: atomic { !is_dead[0] && registered[0] && FAULT; registered[0] = false; give_back_all(0, 0) }
    :: atomic { !is_dead[1] && registered[1] && FAULT; registered[1] = false; give_back_all(1, 0) }
    od
}

proctype producer()
{
    job[0].place = ready;
#if JOBS > 1
    job[1].place = ready
#endif
}

init
{
    atomic {
        run producer();
        run reaper();
        run worker(0);
        run worker(1)
    }
}

#if JOBS > 1
#define ALL_IN    (job[0].place != nowhere && job[1].place != nowhere)
#define ALL_ENDED (job[0].place == ended && TERMINAL(0) && job[1].place == ended && TERMINAL(1))
#else
#define ALL_IN    (job[0].place != nowhere)
#define ALL_ENDED (job[0].place == ended && TERMINAL(0))
#endif

ltl jobs_end { [] (ALL_IN -> <> ALL_ENDED) }
