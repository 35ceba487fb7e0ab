// Package rotate decides which value of a password or key pair is in force: it
// adopts what people and files offer, keeps tokens, makes keys that are
// missing, replaces what is in force, asks the cloud again where an answer is
// owed, and knows who holds what (the lease ledger).
//
//	offer ─▶ place ─▶ ask the cloud ─▶ commit ─▶ generation ─▶ hooks, views
//	         (whose)   (once a value)   (one write)
//
// Two sentences govern it. A value that ccad found by itself never goes out
// before the cloud has accepted it as the same user and project; what a person
// gives is served at once, marked unverified until the cloud has answered. And
// a value is never given up before the cloud has accepted its successor.
//
// The lockout guard (attempt.go): every password passes one gate per user on
// its way to Keystone, the attempt is recorded in the store before it is made,
// and a value that was refused is not sent again, after no restart either, unless a
// person asks: an hour later, or at once where the account is locked out. So one
// wrong value costs one failed login, two if ccad was killed between the attempt and
// its record; and of one user two logins fail unattended (budget.go), or are never
// answered, however many wrong values there are.
//
// Every remote change is journalled first: a key that ccad is about to make
// stands in the store as a pending version before the cloud hears of it, and
// is found again by listing (provision.go, keyrotation.go).
//
// # Rotation
//
// A rotation is a journal in the store (vault.Rotation) and this machine over
// it (rotation.go). Each step asks the cloud at most for one change, and its
// outcome and the next step are one commit. A step without an outcome (nobody
// answered, the disk was full, the process died) is owed again, and every step
// may be done twice: it looks first at what Keystone lists.
//
//	           ┌──┐                        ┌───────┬───────────────────────┐
//	           │  ▼                        │       │                       ▼
//	journal ─▶ create ─▶ prove ─▶ flip ─▶ drain ─▶ delete ─▶ prove-dead ─▶ over
//	             │  ▲     │ │ ▲    │ │                ▲         │
//	             │  └─────┘ │ └────┘ │                └─────────┘
//	             └──────────┴────────┴─▶ withdraw ─▶ over
//	                                      │  ▲
//	                                      └──┘
//
//	step       | outcome    | next       | it means
//	create     | made       | prove      | the new key is at Keystone
//	create     | forbidden  | create     | nobody may choose a key here: the cloud is to
//	create     | asking     | create     | recorded, and only then asked: what appears now may be ours
//	create     | refused    | withdraw   | the cloud makes none
//	prove      | proved     | flip       | Keystone lists it and S3 accepts it
//	prove      | missing    | create     | Keystone does not list it
//	prove      | late       | withdraw   | S3 has refused it for ten minutes
//	flip       | flipped    | drain      | it serves, in one commit with its generation
//	flip       | stale      | prove      | the proof is more than a minute old
//	flip       | superseded | withdraw   | a person put another key in force meanwhile
//	drain      | drained    | delete     | nobody holds the former key any more
//	drain      | spared     | over       | another ccad made the former key, or another environment serves it: it stays
//	drain      | superseded | over       | the former key is in force again, or there was none
//	delete     | deleted    | prove-dead | Keystone has deleted it, and lists the one that serves
//	delete     | superseded | over       | as in drain
//	prove-dead | gone       | over       | Keystone does not list it
//	prove-dead | listed     | delete     | it does
//	withdraw   | deleted    | withdraw   | the new key is deleted; see that it is
//	withdraw   | gone       | over       | it is not listed
//	withdraw   | superseded | over       | it serves after all
//
// Who asks for a rotation of what is being rotated joins it; where only the former
// key drains he is told so. One whose new key is in force no more gives way: what it
// has still to delete is taken up again when the next one is over (giveway.go).
//
// Application credentials go the same way (credrotation.go): Keystone lists them
// without their secrets, by their names, and what proves one is a token of the
// very user and project. The new one may do what the former one may.
//
// What the cloud lets nobody do from here, or there is no password to ask with,
// is found out before anything is journalled (begin), or withdrawn: ErrPortal.
//
// A password knows no overlap: the change kills the old one and every token. So
// old and new are in the journal before the one call, and the old one was found
// right just before it (proof.go). Its answer says which is in force, if it is a
// yes, or a no in Keystone's own words; all others, and none, leave a doubt. The
// old password can only go from right to wrong, the new one from wrong to right,
// and that long after everybody stopped waiting, for a request may lie in a
// queue. So (which.go) a token of the old one is asked first, which costs no
// login and dies with it. It lives: the old one stays. It is dead: the new one is
// tried, then the old one. There is none, after a kill: the old one is tried
// first, for its refusal is final. Each is tried once. Where the old one stays,
// the new one is kept for a day, and then until the cloud has accepted the old
// one again.
//
// All steps to the flip are one hold of the user's gate. While there is a doubt
// nothing but the rotation, or a person, sends a password of that user, and
// clients wait (Certain). Where no login of his may fail any more the rotation
// waits for a person, and both stay stored.
//
//	            ┌──────────┬───────┬────────┬────────────────┐
//	            │          │       │        │                ▼
//	journal ─▶ change ──▶ find ─▶ prove ─▶ flip ─▶ heal ─▶ over
//	            ▲ ▲       │▲│       │                        ▲
//	            │ └───────┘│└───────┴──▶ linger ─────────────┘
//	            └──────────┴───────────────┘
//
//	step       | outcome    | next       | it means
//	change     | sending    | find       | recorded, and only then asked for
//	change     | declined   | over       | the old one is refused: it can change nothing
//	change     | superseded | over       | a person put another password in force meanwhile
//	find       | changed    | prove      | the answer says so, a dead token, or the new one is accepted
//	find       | unchanged  | linger     | the old one is in force, so far
//	find       | declined   | over       | Keystone says no (a policy)
//	find       | unsent     | change     | nobody looked at it: no connection, or asked too often
//	find       | superseded | over       | the cloud has accepted another, of a person
//	prove      | proved     | flip       | a token of a later second lives
//	prove      | unchanged  | linger     | the old one is back, or the yes was none
//	prove      | superseded | over       | as in find
//	flip       | flipped    | heal       | all environments of the user serve it, in one commit
//	flip       | superseded | over       | as in find
//	heal       | healed     | over       | their S3 keys are looked at, and the old one is forgotten
//	linger     | refused    | find       | the old one is refused: the request has arrived after all
//	linger     | again      | change     | a person asks once more, for the same new password
//	linger     | settled    | over       | a day later the old one is in force
//	linger     | superseded | over       | as in find
//
// A password that a person puts in force while there is a doubt, and that the
// cloud has not accepted since, ends nothing: then one of three is right. Where
// none of the rotation's two is, both stay stored until the cloud accepts another.
//
// Nothing is deleted but the pair that the journal names, id and secret: keys of
// others stay, also one that another machine's ccad made (cloud.MadeByCCAD) and
// this one took up when its own was gone; where the cloud chooses the keys nobody
// can tell that. What is there besides is told of (ForeignKeys). What is alive
// Keystone says (OS-EC2), not S3, whose 403 is the same for a dead key, a wrong
// secret and a Keystone out of reach. What ccad made and deleted a late request
// may make anew: it is remembered for a day, and deleted again (deleted.go).
//
// A key that came twice is one: the environments that serve it at one origin get
// the next one together, and while it is served at another it is not deleted
// (sharing.go).
//
// How long a drain lasts the lease ledger says (drain.go). Of a value that came
// from a file or a person, or from the cloud's list, it can't know all who have
// it: that one lives for the grace. The ledger lives in memory; so for what a
// daemon before this one may have given out a drain waits the grace and the
// longest lease that it gave, which the store knows. What programs hold that
// ccactl runs is on record beside the socket (Ledger.Keep): for them it waits
// through restarts and locks.
//
// A schedule (schedule.go) begins rotations by itself. When one is due follows
// from the store alone.
//
// An incident (incident.go) begins where the cloud refuses what is in force, and
// ends in the commit in which it has accepted what is: in between may be values
// that nobody has judged, or that it refuses too. The store knows, so that a lock
// or a restart neither begins it anew nor forgets its end.
//
// Commits are told one after another, each as what it was (Keeper.commit).
//
// No lock but the user's own gate is held over a network call.
package rotate
