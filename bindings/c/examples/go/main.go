// An example of the C library from Go: embeddings, and their cosine similarity.
//
// Build the library first, then run this program from the root of the repository:
//
//	cargo build --release -p obert-c
//	export CGO_CFLAGS="-I$PWD/bindings/c/include"
//	export CGO_LDFLAGS="-L$PWD/target/release -lobert_c -Wl,-rpath,$PWD/target/release"
//	go run ./bindings/c/examples/go all-MiniLM-L6-v2 "A man sleeps." "He is asleep."
package main

/*
#include <stdlib.h>
#include "obert.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"unsafe"
)

// Model is a model that goroutines may share.
type Model struct {
	handle *C.obert_model
}

// taken turns an error of the library into one of Go, and frees it.
func taken(failure *C.obert_error) error {
	defer C.obert_error_free(failure)
	message := C.GoString(C.obert_error_message(failure))
	if help := C.GoString(C.obert_error_help(failure)); help != "" {
		message += " (" + help + ")"
	}
	return errors.New(message)
}

// Open opens a folder or a packed file. Close frees it.
func Open(path string) (*Model, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var failure *C.obert_error
	handle := C.obert_open(name, nil, &failure)
	if handle == nil {
		return nil, taken(failure)
	}
	return &Model{handle}, nil
}

// Close frees the model. No call with it may be running.
func (model *Model) Close() {
	C.obert_close(model.handle)
	model.handle = nil
}

// Embed returns an embedding for each text.
func (model *Model) Embed(texts []string, truncate bool) ([][]float32, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	// An array of C strings, in C's memory.
	size := C.size_t(len(texts)) * C.size_t(unsafe.Sizeof((*C.char)(nil)))
	array := (**C.char)(C.malloc(size))
	defer C.free(unsafe.Pointer(array))
	strings := unsafe.Slice(array, len(texts))
	for i, text := range texts {
		strings[i] = C.CString(text)
		defer C.free(unsafe.Pointer(strings[i]))
	}
	dimension := int(C.obert_dimension(model.handle))
	values := make([]float32, len(texts)*dimension)
	var failure *C.obert_error
	ok := C.obert_embed(model.handle, array, C.size_t(len(texts)), C.bool(truncate),
		(*C.float)(unsafe.Pointer(&values[0])), &failure)
	runtime.KeepAlive(model)
	if !ok {
		return nil, taken(failure)
	}
	rows := make([][]float32, len(texts))
	for i := range rows {
		rows[i] = values[i*dimension : (i+1)*dimension]
	}
	return rows, nil
}

func cosine(a, b []float32) float64 {
	var product, first, second float64
	for i := range a {
		product += float64(a[i]) * float64(b[i])
		first += float64(a[i]) * float64(a[i])
		second += float64(b[i]) * float64(b[i])
	}
	return product / math.Sqrt(first*second)
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: go run . MODEL TEXT TEXT")
		os.Exit(2)
	}
	model, err := Open(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer model.Close()
	rows, err := model.Embed(os.Args[2:], true)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Printf("%.4f\n", cosine(rows[0], rows[1]))
}
