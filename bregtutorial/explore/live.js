(function(){
var data=$data;
$draw
function setUp(figure){
  var copy=window.btCopies=(window.btCopies||0)+1,stage=figure.querySelector(".bt-stage"),
      svg=stage.querySelector("svg"),button=figure.querySelector(".bt-controls button"),
      output=figure.querySelector("output"),state=JSON.parse(JSON.stringify(data.state)),parts={},handles=[],
      controls=[].slice.call(figure.querySelectorAll("input,select")),timer=null,
      calm=window.matchMedia("(prefers-reduced-motion: reduce)");
  // ids of its own for a second copy of this output
  svg.innerHTML=svg.innerHTML.split("bt$ident-").join("bt$ident-"+copy+"-");
  svg.querySelectorAll("[data-part]").forEach(function(e){parts[e.dataset.part]=e.querySelector("path,text");});

  function position(name,x,y){
    var a=data.axes[name],m=a.map;
    return [m[0]+m[1]*(a.log[0]?Math.log10(x):x),m[2]+m[3]*(a.log[1]?Math.log10(y):y)];
  }
  var view={
    // points [x, y]; null lifts the pen
    line:function(part,axes,points){
      var d="",pen="M";
      points.forEach(function(p){
        if(!p){pen="M";return;}
        var q=position(axes,p[0],p[1]);
        d+=pen+q[0].toFixed(2)+" "+q[1].toFixed(2);
        pen="L";
      });
      parts[part].setAttribute("d",d);
    },
    dots:function(part,axes,points){
      var all=[];
      points.forEach(function(p){all.push(p,p,null);});
      view.line(part,axes,all);
    },
    // n unit squares side by side, the first around [x, y]
    cells:function(part,axes,runs){
      var m=data.axes[axes].map;
      parts[part].setAttribute("shape-rendering","crispEdges");
      parts[part].setAttribute("d",runs.map(function(r){
        var q=position(axes,r[0]-.5,r[1]-.5),w=(r[2]*m[1]).toFixed(2);
        return "M"+q[0].toFixed(2)+" "+q[1].toFixed(2)+"h"+w+"v"+m[3].toFixed(2)+"h"+-w+"z";
      }).join(""));
    },
    // beside a point, as matplotlib's annotate with the offset (10, 8)
    label:function(part,axes,p){
      var q=position(axes,p[0],p[1]);
      parts[part].setAttribute("x",(q[0]+10).toFixed(2));
      parts[part].setAttribute("y",(q[1]-8).toFixed(2));
    },
    text:function(part,text){parts[part].textContent=text;}
  };

  function show(){
    var said=draw(data,state,view);
    svg.setAttribute("aria-label",said.alt);
    output.textContent=said.text;
    controls.forEach(function(c){
      c.value=state[c.name];
      if(c.type==="range")c.setAttribute("aria-valuetext",said.text);
    });
    handles.forEach(function(h){
      var q=position(h.axes,state[h.name][0],state[h.name][1]);
      h.button.style.left=100*q[0]/data.size[0]+"%";
      h.button.style.top=100*q[1]/data.size[1]+"%";
    });
  }
  function speak(on){output.setAttribute("aria-live",on?"polite":"off");}

  function place(handle,x,y){
    var l=data.axes[handle.axes].limits,round=function(v){return Math.round(v/handle.step)*handle.step;};
    state[handle.name]=[[x,l[0],l[1]],[y,l[2],l[3]]].map(function(v){
      return +Math.min(Math.max(round(v[0]),Math.ceil(v[1]/handle.step)*handle.step),
                       Math.floor(v[2]/handle.step)*handle.step).toFixed(6);
    });
    show();
  }
  function follow(handle,event){
    var box=svg.getBoundingClientRect(),m=data.axes[handle.axes].map;
    place(handle,((event.clientX-box.left)/box.width*data.size[0]-m[0])/m[1],
          ((event.clientY-box.top)/box.height*data.size[1]-m[2])/m[3]);
  }
  data.handles.forEach(function(spec){
    var b=document.createElement("button"),h={name:spec.name,axes:spec.axes,step:spec.step,button:b},held=false;
    b.type="button";
    b.setAttribute("aria-label",spec.name+": drag, or move by arrow keys");
    b.addEventListener("pointerdown",function(e){held=true;speak(false);b.setPointerCapture(e.pointerId);});
    b.addEventListener("pointermove",function(e){if(held)follow(h,e);});
    ["pointerup","pointercancel"].forEach(function(end){b.addEventListener(end,function(){held=false;});});
    b.addEventListener("keydown",function(e){
      var by={ArrowLeft:[-1,0],ArrowRight:[1,0],ArrowUp:[0,1],ArrowDown:[0,-1]}[e.key],far=e.shiftKey?5:1,at=state[h.name];
      if(!by)return;
      e.preventDefault();
      speak(true);
      place(h,at[0]+far*by[0]*h.step,at[1]+far*by[1]*h.step);
    });
    handles.push(h);
    stage.appendChild(b);
  });
  if(handles.length){
    stage.setAttribute("role","application");
    stage.setAttribute("aria-label","Points that can be moved");
    svg.addEventListener("click",function(e){speak(true);follow(handles[0],e);});
  }

  // a click on a cell of a map chooses it: {axes, name, columns, last}
  if(data.pick)svg.addEventListener("click",function(e){
    var box=svg.getBoundingClientRect(),a=data.axes[data.pick.axes],m=a.map,k,
        x=Math.round(((e.clientX-box.left)/box.width*data.size[0]-m[0])/m[1]),
        y=Math.round(((e.clientY-box.top)/box.height*data.size[1]-m[2])/m[3]);
    if(x<0||x>=data.pick.columns||y<0)return;
    k=y*data.pick.columns+x+1;
    if(k>data.pick.last)return;
    speak(true);
    state[data.pick.name]=k;
    show();
  });

  function stop(){clearInterval(timer);timer=null;if(button)button.textContent=calm.matches?"Next":"Play";}
  function playing(){return controls.filter(function(c){return c.name===data.play;})[0];}
  function next(){
    var c=playing(),v=+c.value+ +c.step;
    state[data.play]=v>+c.max?+c.min:v;
    show();
  }
  function tick(){if(!figure.isConnected){stop();return;}next();if(+playing().value>=+playing().max)stop();}
  controls.forEach(function(c){
    c.closest("label").hidden=false;
    c.addEventListener("input",function(){
      stop();
      speak(c.type!=="range");
      state[c.name]=c.type==="range"?+c.value:c.value;
      show();
    });
  });
  if(button){
    button.hidden=false;
    button.addEventListener("click",function(){
      if(timer){speak(true);stop();}
      else if(calm.matches){speak(true);next();}
      else{
        speak(false);
        var c=playing();
        if(+c.value>=+c.max){state[data.play]=+c.min;show();}
        button.textContent="Pause";
        timer=setInterval(tick,$interval);
      }
    });
  }
  calm.addEventListener("change",stop);
  figure.dataset.ready="";
  stop();
  show();
}
document.querySelectorAll('.bt-live[data-bt="$ident"]:not([data-ready])').forEach(setUp);
})();
