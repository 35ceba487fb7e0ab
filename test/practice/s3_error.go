package practice

import (
	"fmt"
	"net/http"
	"strings"
)

// s3Error is S3's error document; info are the elements after RequestId.
type s3Error struct {
	status        int
	code, message string
	info          []*node
	late          bool // found after the answer began: without RequestId
}

func s3Errorf(status int, code, format string, args ...any) *s3Error {
	return &s3Error{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func (e *s3Error) with(name, value string) *s3Error {
	e.info = append(e.info, leaf(name, value))
	return e
}

var (
	badDigest          = s3Errorf(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
	malformedXML       = s3Errorf(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	preconditionFailed = s3Errorf(412, "PreconditionFailed", "At least one of the preconditions you specified did not hold.")
	accessDenied       = s3Errorf(403, "AccessDenied", "Access Denied.")
)

func noSuchBucket(name string) *s3Error {
	return s3Errorf(404, "NoSuchBucket", "The specified bucket does not exist.").with("BucketName", name)
}

func noSuchKey(key string) *s3Error {
	return s3Errorf(404, "NoSuchKey", "The specified key does not exist.").with("Key", key)
}

func invalidArgument(name, value, message string) *s3Error {
	return s3Errorf(400, "InvalidArgument", "%s", message).with("ArgumentName", name).with("ArgumentValue", value)
}

func notImplemented(message string) *s3Error { return s3Errorf(501, "NotImplemented", "%s", message) }

// failed answers with an error.
func (k *s3Call) failed(e *s3Error) reply {
	kids := []*node{leaf("Code", e.code), leaf("Message", e.message)}
	if !e.late {
		kids = append(kids, leaf("RequestId", k.trans))
	}
	kids = append(kids, e.info...)
	return reply{status: e.status, header: http.Header{"Content-Type": {"application/xml"}}, body: document(tree("Error", kids...), false)}
}

// node is an element of an XML document, written as Swift's library does, so
// that both clouds give the same bytes.
type node struct {
	name, text string
	kids       []*node
	open       bool // written with an end tag of its own though empty
}

func leaf(name, text string) *node          { return &node{name: name, text: text} }
func openLeaf(name, text string) *node      { return &node{name: name, text: text, open: true} }
func tree(name string, kids ...*node) *node { return &node{name: name, kids: kids} }

func (n *node) add(kids ...*node) { n.kids = append(n.kids, kids...) }

var xmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;")

func (n *node) write(b *strings.Builder, attributes string) {
	b.WriteString("<" + n.name + attributes)
	if n.text == "" && len(n.kids) == 0 && !n.open {
		b.WriteString("/>")
		return
	}
	b.WriteString(">" + xmlEscaper.Replace(n.text))
	for _, kid := range n.kids {
		kid.write(b, "")
	}
	b.WriteString("</" + n.name + ">")
}

// document is the whole file, with S3's namespace or without.
func document(root *node, namespace bool) []byte {
	var b strings.Builder
	b.WriteString("<?xml version='1.0' encoding='UTF-8'?>\n")
	attributes := ""
	if namespace {
		attributes = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	}
	root.write(&b, attributes)
	return []byte(b.String())
}

func xmlReply(root *node) (reply, *s3Error) {
	return reply{status: http.StatusOK, header: http.Header{"Content-Type": {"application/xml"}}, body: document(root, true)}, nil
}
