// Closed forms for w = prox(v) in the plane, as in bregtutorial.regularizers; tests hold them against each other.
// A regularizer is {rho, sign}: the share of the 1-norm beside the group norm of the pair, and whether w >= 0 is asked.
function prox(reg,v,lam){
  if(reg.sign)return v.map(function(x){return Math.max(x-lam,0);});
  var s=v.map(function(x){return x-Math.min(Math.max(x,-lam*reg.rho),lam*reg.rho);}),n=Math.hypot(s[0],s[1]),
      scale=n>0?Math.max(1-lam*(1-reg.rho)*Math.SQRT2/n,0):0;
  return s.map(function(x){return scale===0?0:scale*x;});
}
function value(reg,w){
  if(reg.sign)return Math.min(w[0],w[1])<0?Infinity:w[0]+w[1];
  return reg.rho*(Math.abs(w[0])+Math.abs(w[1]))+(1-reg.rho)*Math.SQRT2*Math.hypot(w[0],w[1]);
}
// D = J(u) - J(w) - <p, u - w> with p = (v - w) / lam
function distance(reg,u,w,p){
  var d=value(reg,u)-value(reg,w)-p[0]*(u[0]-w[0])-p[1]*(u[1]-w[1]);
  return Math.abs(d)<1e-9?0:d;
}
// the boundary of what the prox sends to zero: corners of the box, rounded by the disc
function deadZone(reg,lam,far){
  if(reg.sign)return [[-far,-far],[lam,-far],[lam,lam],[-far,lam],[-far,-far]];
  var points=[],k,c,s,box=lam*reg.rho,disc=lam*(1-reg.rho)*Math.SQRT2;
  for(k=0;k<=96;k++){
    c=Math.cos(Math.PI*(2*k+1)/96);s=Math.sin(Math.PI*(2*k+1)/96);
    points.push([box*Math.sign(c)+disc*c,box*Math.sign(s)+disc*s]);
  }
  return points;
}
function pair(x){
  return "("+x.map(function(c){return (Math.round(100*c)/100+0).toFixed(2).replace("-0.00","0.00").replace("-","−");}).join(", ")+")";
}
function draw(data,state,view){
  var reg=data.regs[state.reg],lam=state.lam,v=state.v,u=state.u,w=prox(reg,v,lam),
      q=[v[0]-w[0],v[1]-w[1]],p=[q[0]/lam,q[1]/lam],d=distance(reg,u,w,p),zeros=(w[0]===0)+(w[1]===0),
      where=["No coordinate of w is zero.","One coordinate of w is zero.","v lies in the dead zone: w = 0."][zeros],
      far=data.axes.plane.limits[1];
  view.line("zone","plane",deadZone(reg,lam,far));
  view.line("removed","plane",[[0,0],q]);
  view.line("kept","plane",[q,v]);
  view.line("shift","plane",[[0,0],w]);
  [["v",v],["u",u],["w",w],["q",q]].forEach(function(e){
    view.dots(e[0],"plane",[e[1]]);
    view.label("label-"+e[0],"plane",e[1]);
  });
  var text="λ = "+lam.toFixed(2)+": v = "+pair(v)+", w = "+pair(w)+", p = "+pair(p)+", D(u, w) = "+(d===Infinity?"∞":d.toFixed(2))+". "+where;
  return {text:text,alt:state.reg+" with "+text};
}
