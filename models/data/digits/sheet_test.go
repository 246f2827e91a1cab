package digits
import ("testing";"image";"image/png";"image/color";"os";"golang.org/x/image/font/gofont/gomono")
func TestSheetRaw(t *testing.T){
 const c=64
 im:=image.NewGray(image.Rect(0,0,11*c,len(fonts)*c))
 for fi,f:=range fonts{ g,err:=f.load(); if err!=nil{t.Fatal(err)}
  for d:=range 11{ gl:=&g.plainZero; if d<10{gl=&g.digit[d]}; for y:=range c{for x:=range c{
   v:=gl.at(point{(float64(x)-32)/2.3,(float64(y)-32)/2.3}); k:=min(max(0.5+v*2,0),1)
   im.SetGray(d*c+x,fi*c+y,color.Gray{uint8(k*255)})}}}}
 w,_:=os.Create("/tmp/sheet/raw.png"); png.Encode(w,im); w.Close()
 im=image.NewGray(image.Rect(0,0,20*28*2,20*28*2))
 var a artist; var pix [784]uint8
 for r:=range 20{ f,_:=fonts[r%len(fonts)].load(); for c:=range 20{ a.draw(pix[:],f,c%10,1,uint64(r*20+c))
  for i,v:=range pix{ for k:=range 4{ im.SetGray(c*56+i%28*2+k%2,r*56+i/28*2+k/2,color.Gray{v})}}}}
 w,_=os.Create("/tmp/digits.png"); png.Encode(w,im); w.Close()
}
func BenchmarkDraw(b *testing.B){ f,_:=fonts[0].load(); var a artist; var pix [784]uint8; for i:=range b.N{a.draw(pix[:],f,3,1,uint64(i))}}
func BenchmarkFace(b *testing.B){ for range b.N{ source("x", gomono.TTF).load()}}
