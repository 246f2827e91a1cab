// Package program is a compiled module: per function a flat list of instructions over numbered slots, and where in memory
// each slot lies. It is plain data, immutable once compiled: many sessions run one program at the same time.
//
// A [Program] has a [Func] for each function. An [Instr] computes one node from the slots of its operands; a [Slot] holds
// one value and says where that lies ([Place]): in the arena of the call, at the offset that the [Plan] gives it, in a
// tensor of the caller, in a variable, or in the storage of another slot.
//
//	for i, s := range p.Slots {
//		switch s.Place {
//		case program.Arena:
//			fmt.Printf("slot %d: %v, %d*N bytes in the arena\n", i, s.Type, p.Plan.Sizes[i].Per)
//		case program.Input:
//			fmt.Printf("slot %d: %v, the caller's %s\n", i, s.Type, p.Inputs[s.Index].Name)
//		case program.Output:
//			fmt.Printf("slot %d: %v, %d*N bytes for the caller: %s\n", i, s.Type, p.Plan.Sizes[i].Per, p.Outputs[s.Index].Name)
//		case program.View:
//			fmt.Printf("slot %d: %v, a view of slot %d\n", i, s.Type, s.Index)
//		}
//	}
//	for _, ins := range p.Instrs {
//		fmt.Println(ins.Node.Op().Name, ins.In, "to", ins.Out, "moves:", !ins.Alias())
//	}
//
// prints of a function that reshapes relu(a*w + b) and multiplies it by v
//
//	slot 0: f32[N,3], the caller's a
//	slot 1: f32[4], the caller's b
//	slot 2: f32[3,4], the caller's w
//	slot 3: f32[2,1], the caller's v
//	slot 4: f32[N,4], 16*N bytes in the arena
//	slot 5: f32[2*N,2], a view of slot 4
//	slot 6: f32[2*N,1], 8*N bytes for the caller: y
//	slot 7: f32[N,2,1], a view of slot 6
//	fused [0 2 1] to [4] moves: true
//	reshape [4] to [5] moves: false
//	matmul [5 3] to [6] moves: true
//	reshape [6] to [7] moves: false
//
// Package compile makes programs and package runtime runs them. There is no other way to make one, and no file format: what is
// stored is the module.
package program
