// what changed in each epoch: distances between places, 255 says "and on"
function places(text){
  var at=-1,step=0,found=[];
  atob(text).split("").forEach(function(c){
    step+=c.charCodeAt(0);
    if(c!=="\xff"){at+=step;step=0;found.push(at);}
  });
  return found;
}
function awake(layer,epoch){
  var mask=new Uint8Array(layer.shape.reduce(function(a,b){return a*b;},1));
  layer.places=layer.places||layer.changes.map(places);
  layer.places.slice(0,epoch+1).forEach(function(list){list.forEach(function(k){mask[k]^=1;});});
  return mask;
}
function sum(list){return list.reduce(function(a,b){return a+b;},0);}
function rows(mask,width){
  return Array.from({length:mask.length/width},function(_,i){return sum(mask.subarray(i*width,(i+1)*width));});
}
function columns(mask,width){
  var found=new Array(width).fill(0);
  mask.forEach(function(m,k){found[k%width]+=m;});
  return found;
}
// cells k with class(k) = part, those side by side as one
function paint(view,axes,columns,n,kind,parts){
  parts.forEach(function(part,which){
    var runs=[],open=null;
    for(var k=0;k<n;k++){
      if(kind(k)!==which){open=null;continue;}
      if(open&&k%columns){open[2]++;continue;}
      open=[k%columns,Math.floor(k/columns),1];
      runs.push(open);
    }
    view.cells(part,axes,runs);
  });
}
// the class of a count: how many of the limits it reaches, from 0; below the first it is asleep
function bin(limits,count){return limits.filter(function(x){return count>=x;}).length-1;}
function draw(data,state,view){
  var e=state.epoch,now=data.layers.map(function(l){return awake(l,e);}),
      before=data.layers.map(function(l){return awake(l,Math.max(e-1,0));}),text,counts;
  function names(i,n){return Array.from({length:n},function(_,k){return "layer"+i+"-"+k;});}
  if(!data.image){
    counts=now.map(function(m){return sum(m);});
    now.forEach(function(m,i){
      paint(view,"layer"+i,data.grids[i],m.length,function(k){return m[k]?(before[i][k]?0:1):-1;},names(i,2));
      view.text("title"+i,"layer "+(i+2)+": "+counts[i]);
    });
    text="Epoch "+e+": awake are "+counts.join(", ")+" neurons; new are "+now.map(function(m,i){
      return sum(m.map(function(x,k){return x&&!before[i][k]?1:0;}));
    }).join(", ")+".";
    return {text:text,alt:"Neurons of each layer that are awake. "+text};
  }
  counts=now.map(function(m,i){return rows(m,data.layers[i].shape[1]);});
  counts.forEach(function(c,i){
    paint(view,"layer"+i,data.grids[i],c.length,function(k){return bin(data.limits[i],c[k]);},names(i,3));
  });
  var width=data.layers[0].shape[1],k=state.neuron-1,from=k*width,mine=now[0].subarray(from,from+width),
      old=before[0].subarray(from,from+width),readers=columns(now[0],width),fresh=0;
  mine.forEach(function(x,j){fresh+=x&&!old[j]?1:0;});
  paint(view,"pixels",data.image,width,function(j){return mine[j]?(old[j]?0:1):-1;},["pixels-0","pixels-1"]);
  paint(view,"readers",data.image,width,function(j){return bin(data.readers,readers[j]);},
        ["readers-0","readers-1","readers-2"]);
  view.cells("chosen-0","layer0",[[k%data.grids[0],Math.floor(k/data.grids[0]),1]]);
  text="Epoch "+e+": "+(100*sum(now.map(function(m){return sum(m);}))/sum(now.map(function(m){return m.length;}))).toFixed(1)+
       " % of the weights are awake, and "+counts.map(function(c){
         return c.filter(function(x){return x>0;}).length+" of "+c.length;
       }).join(", ")+" neurons. Neuron "+state.neuron+" reads "+sum(mine)+" of "+width+" pixels, "+fresh+" of them new.";
  return {text:text,alt:"A network while it grows. "+text};
}
