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
// and a value that was refused is never sent again, by nobody and after no
// restart. So one wrong value costs one failed login, two if ccad was killed
// between the attempt and its record; and of one user two logins fail unattended
// (budget.go), however many wrong values there are.
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
//	journal ─▶ create ─▶ prove ─▶ flip ─▶ drain ─▶ delete ─▶ prove-dead ─▶ over
//	             │  ▲      │ │ ▲    │ │                ▲            │
//	             │  └──────┘ │ └────┘ │                └────────────┘
//	             └───────────┴────────┴─▶ withdraw ─▶ over
//
//	step       | outcome    | next       | it means
//	create     | made       | prove      | the new key is at Keystone
//	create     | forbidden  | create     | nobody may choose a key here: the cloud is to
//	create     | refused    | withdraw   | the cloud makes none
//	prove      | proved     | flip       | Keystone lists it and S3 accepts it
//	prove      | missing    | create     | Keystone does not list it
//	prove      | late       | withdraw   | S3 has refused it for ten minutes
//	flip       | flipped    | drain      | it serves, in one commit with its generation
//	flip       | stale      | prove      | the proof is more than a minute old
//	flip       | superseded | withdraw   | a person put another key in force meanwhile
//	drain      | drained    | delete     | nobody holds the former key any more
//	drain      | superseded | over       | the former key is in force again, or there was none
//	delete     | deleted    | prove-dead | Keystone has deleted it, and lists the one that serves
//	delete     | superseded | over       | as in drain
//	prove-dead | gone       | over       | Keystone does not list it
//	prove-dead | listed     | delete     | it does
//	withdraw   | deleted    | withdraw   | the new key is deleted; see that it is
//	withdraw   | gone       | over       | it is not listed
//	withdraw   | superseded | over       | it serves after all
//
// A password knows no overlap: the change kills the old one and every token.
// So old and new are in the journal before the one call; a lost answer is found
// out by trying the new one once, then the old one once. All steps to the flip
// are one hold of the user's gate, and while the journal stands nothing but the
// rotation, or a person, sends a password of that user.
//
//	journal ─▶ change ─▶ find ─▶ prove ─▶ flip ─▶ heal ─▶ over
//	             ▲        │ │
//	             └────────┘ └─▶ over (the old one stays)
//
//	step       | outcome    | next       | it means
//	change     | sending    | find       | recorded, and only then asked for
//	change     | superseded | over       | a person put another password in force meanwhile
//	find       | changed    | prove      | the answer says so, or the new one is accepted
//	find       | unchanged  | over       | the cloud refused (a policy), or the old one is accepted
//	find       | unsent     | change     | nobody looked at it
//	find       | superseded | over       | as in change
//	prove      | proved     | flip       | a token of a later second lives
//	prove      | elsewhere  | over       | somebody changed it once more: a person must act
//	prove      | superseded | over       | as in change
//	flip       | flipped    | heal       | all environments of the user serve it, in one commit
//	flip       | superseded | over       | as in change
//	heal       | healed     | over       | their S3 keys are looked at, and the old one is forgotten
//
// Nothing is deleted but the pair that the journal names, id and secret: keys
// of others stay. What is alive Keystone says (OS-EC2), not S3, whose 403 is
// the same for a dead key, a wrong secret and a Keystone out of reach.
//
// How long a drain lasts the lease ledger says (drain.go). The ledger lives in
// memory; so for what a daemon before this one may have given out a drain waits
// the grace and the longest lease that it gave, which the store knows.
//
// No lock but the user's own gate is held over a network call.
package rotate
